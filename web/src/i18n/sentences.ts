/** What the server says in sentences, in Chinese: `sentences.json` pairs patterns of theirs with ours. */

import SENTENCES from "./sentences.json";

const KNOWN = SENTENCES.map(([english, chinese]) => [new RegExp(`^${english}$`), chinese!] as const);
/** Names that such sentences hold. */
const NAMES: Record<string, string> = {
  background: "背景",
  regions: "区域头",
  detector: "检测器",
  "detector along edges": "沿边缘的检测器",
  "everything mode": "全图模式",
};

/** A sentence that is not known stays as it is. */
export function inChinese(sentence: string): string {
  for (const [english, chinese] of KNOWN) {
    const found = english.exec(sentence);
    if (found) return chinese.replace(/\$(\d)/g, (_, at: string) => NAMES[found[+at]!] ?? found[+at]!);
  }
  return sentence;
}
