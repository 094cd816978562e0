import { expect, test } from "vitest";
import { newestOf } from "../../src/api/newest";

test("an answer is dropped that a later question has overtaken, whichever comes first", async () => {
  const newest = newestOf();
  let say: (told: string) => void = () => undefined;
  const slow = newest(new Promise<string>((resolve) => (say = resolve)));
  const quick = newest(Promise.resolve("as it is"));
  expect(await quick).toBe("as it is");
  say("as it was");
  expect(await slow).toBeUndefined();
});

test("a question that failed is told of, and the next one is answered", async () => {
  const newest = newestOf();
  await expect(newest(Promise.reject(new Error("away")))).rejects.toThrow("away");
  expect(await newest(Promise.resolve(3))).toBe(3);
});

test("each place has an order of its own", async () => {
  const [here, there] = [newestOf(), newestOf()];
  const first = here(Promise.resolve(1));
  expect(await there(Promise.resolve(2))).toBe(2);
  expect(await first).toBe(1);
});
