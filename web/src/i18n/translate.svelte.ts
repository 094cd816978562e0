/** Says a message in the language that is preferred. */

import { preferences } from "../settings/preferences.svelte";
import type { Message } from "./messages";
import { MESSAGES } from "./messages";
import { inChinese } from "./sentences";

export function t(message: Message, values: Record<string, string | number> = {}): string {
  const text = MESSAGES[message][preferences.language === "zh" ? 1 : 0];
  const plural = String(values["count"]) === "1" ? "" : "s";
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(name === "s" ? plural : (values[name] ?? "")));
}

/** For keys that are put together at run time. */
export function say(message: string, values: Record<string, string | number> = {}): string {
  return message in MESSAGES ? t(message as Message, values) : message;
}

/** Repeats a sentence that the server said. */
export function told(sentence: string): string {
  return preferences.language === "zh" ? inChinese(sentence) : sentence;
}
