/**
 * Answers overtake each other: what was asked twice may be told first as it is, and then as it was.
 *
 * @returns What waits for an answer, and says undefined where somebody has asked again meanwhile.
 *
 * @example
 * const newest = newestOf();
 * const found = await newest(get<Standing>("/api/scribbles"));
 * if (found) standing = found;
 */
export function newestOf(): <T>(answer: Promise<T>) => Promise<T | undefined> {
  let asked = 0;
  return async (answer) => {
    const mine = ++asked;
    const found = await answer;
    return mine === asked ? found : undefined;
  };
}
