/** Requests to the server: JSON in, JSON out, and errors that say what they are. */

/** The server said no, in one sentence. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: unknown,
    /** Seconds after which to ask again, if it said so. */
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

/** The server was not reached. */
export class Offline extends Error {}

const SESSION = "/api/session";
let nobodyIsKnown: () => void = () => undefined;
/** How often somebody has signed in. */
let signedIn = 0;

/** Say what happens when a request is refused because nobody is signed in. */
export function whenNobodyIsKnown(call: () => void): void {
  nobodyIsKnown = call;
}

/** A body that is a file goes as it is, anything else as JSON. */
export async function request(method: string, path: string, body?: unknown): Promise<Response> {
  let answer: Response;
  const before = signedIn;
  try {
    answer = await fetch(path, { method, credentials: "same-origin", ...sent(body) });
  } catch (error) {
    throw new Offline(`the server is not reached (${String(error)})`);
  }
  if (path === SESSION && method === "POST" && answer.ok) signedIn++;
  // What was asked before somebody signed in, and answered after, says nothing of who is there now.
  if (answer.status === 401 && path !== SESSION && before === signedIn) nobodyIsKnown();
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

function sent(body: unknown): RequestInit {
  if (body === undefined) return {};
  if (body instanceof Blob) return { body, headers: { "content-type": "application/octet-stream" } };
  return { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

export async function get<T>(path: string): Promise<T> {
  return read<T>(await request("GET", path));
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const answer = await request("POST", path, body);
  // 204 says that it is done, and nothing else.
  return answer.status === 204 ? (undefined as T) : read<T>(answer);
}

export async function patch<T>(path: string, body: unknown): Promise<T> {
  return read<T>(await request("PATCH", path, body));
}

export async function put<T>(path: string, body: unknown): Promise<T> {
  return read<T>(await request("PUT", path, body));
}

/** What the server answered; it may be lost in the middle of it. */
async function read<T>(answer: Response): Promise<T> {
  try {
    return (await answer.json()) as T;
  } catch (error) {
    throw new Offline(String(error));
  }
}

async function refusal(answer: Response): Promise<Refused> {
  const body: unknown = await answer.json().catch(() => null);
  const said = (body as { error?: unknown } | null)?.error;
  const message = typeof said === "string" ? said : `the server answers ${answer.status}`;
  const after = Number(answer.headers.get("retry-after"));
  return new Refused(answer.status, message, body, after > 0 ? after : null);
}

/** A path with those of the parameters that say something. */
export function withQuery(path: string, parameters: Record<string, unknown>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  return query.size ? `${path}?${query}` : path;
}
