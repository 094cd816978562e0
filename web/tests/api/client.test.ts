import { afterEach, expect, test, vi } from "vitest";
import { get, post, whenNobodyIsKnown } from "../../src/api/client";

afterEach(() => vi.unstubAllGlobals());

/** A server whose answers come when the test says so. */
function slowServer() {
  const waiting = new Map<string, (status: number) => void>();
  vi.stubGlobal("fetch", (path: string) => {
    return new Promise<Response>((done) => waiting.set(path, (status) => done(new Response("{}", { status }))));
  });
  return (path: string, status: number) => waiting.get(path)!(status);
}

test("a refusal that comes late does not ask somebody to sign in who has just done so", async () => {
  let asked = 0;
  whenNobodyIsKnown(() => asked++);
  const answer = slowServer();
  const early = get("/api/images/1/regions").catch(() => undefined);
  const signing = post("/api/session", { name: "ann", password: "secret" });
  answer("/api/session", 200);
  await signing;
  answer("/api/images/1/regions", 401);
  await early;
  expect(asked).toBe(0);
  const late = get("/api/images/2/regions").catch(() => undefined);
  answer("/api/images/2/regions", 401);
  await late;
  expect(asked).toBe(1);
});

test("a wrong password is no sign-in", async () => {
  let asked = 0;
  whenNobodyIsKnown(() => asked++);
  const answer = slowServer();
  const early = get("/api/images").catch(() => undefined);
  const signing = post("/api/session", { name: "ann", password: "wrong" }).catch(() => undefined);
  answer("/api/session", 401);
  await signing;
  answer("/api/images", 401);
  await early;
  expect(asked).toBe(1);
});
