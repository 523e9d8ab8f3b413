/** A plain HTTP client for `tlsboot ui`. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { type Running, type StartOptions, startTlsboot } from "./child.ts";

/** A running `tlsboot ui`. Disposing it ends the program. */
export interface RunningUi extends AsyncDisposable {
  readonly running: Running;
  /** The origin of its pages: `http://127.0.0.1:PORT`. */
  readonly origin: string;
  /** The printed link, which is valid once. */
  readonly link: string;
}

/** Starts `tlsboot ui` with these flags, and waits for its link. */
export async function startUi(args: readonly string[], options: StartOptions = {}): Promise<RunningUi> {
  const running = startTlsboot(["ui", ...args], options);
  try {
    return { running, ...await findLink(running), [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

/** Waits for the link that a program prints. */
export async function findLink(running: Running): Promise<{ readonly origin: string; readonly link: string }> {
  const [link, origin = ""] = await running.waitFor(/(http:\/\/127\.0\.0\.1:\d+)\/login\?key=[\w-]+/);
  return { origin, link };
}

/** The answer to a request. */
interface UiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** The optional parts of a request. */
export interface UiRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The fields of a form. */
  readonly form?: Readonly<Record<string, string>>;
}

/** Sends one request. It does not follow a redirect. */
export function send(url: string, { method, headers = {}, form }: UiRequest = {}): Promise<UiAnswer> {
  const body = form === undefined ? undefined : new URLSearchParams(form).toString();
  const formHeaders = body === undefined ? {} : {
    "content-type": "application/x-www-form-urlencoded",
    "content-length": `${body.length}`,
    origin: new URL(url).origin,
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: method ?? (form === undefined ? "GET" : "POST"),
      headers: { ...formHeaders, ...headers },
    });
    sent.once("error", reject);
    sent.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    sent.end(body);
  });
}

/** Requests with the cookie of a session. */
export interface UiClient {
  readonly cookie: string;
  /** Sends a request; the answer must have this status. */
  send(path: string, status: number, request?: UiRequest): Promise<UiAnswer>;
  /** Sends a form with the token of the session. */
  submit(path: string, status: number, form?: Readonly<Record<string, string>>): Promise<UiAnswer>;
}

/** Opens a link as a browser does, and keeps the cookie. */
export async function openLink({ link, origin }: Pick<RunningUi, "link" | "origin">): Promise<UiClient> {
  const { status, headers } = await send(link);
  assert.equal(status, 303, "the link redirects");
  const [cookie = ""] = String(headers["set-cookie"]).split(";");
  const sendWithCookie = async (path: string, wanted: number, request: UiRequest = {}): Promise<UiAnswer> => {
    const answer = await send(origin + path, { ...request, headers: { cookie, ...request.headers } });
    assert.equal(answer.status, wanted, `${path}: ${answer.body}`);
    return answer;
  };
  return {
    cookie,
    send: sendWithCookie,
    async submit(path, wanted, form = {}) {
      const { body } = await sendWithCookie("/requests", 200);
      const [, name = "", token = ""] = /<input type="hidden" name="([^"]+)" value="([\w-]{43})"/.exec(body) ?? [];
      return await sendWithCookie(path, wanted, { form: { ...form, [name]: token } });
    },
  };
}
