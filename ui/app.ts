/**
 * The routes of the page, and the stream of events of an open page. A request passes: guards → session → page or action
 * → headers. An event only says that something on the page has changed.
 */
import type { Socket } from "node:net";
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { type AppError, getErrorMessage, isAppError } from "../core/errors.ts";
import type { Clock, Logger } from "../core/ports.ts";
import { escapeText } from "../core/lib/printable.ts";
import {
  ANSWER_HEADERS,
  findCookie,
  findRefusal,
  getCookieName,
  type Login,
  type Peer,
  type UiSession,
  type UiSessions,
} from "./access.ts";
import type { UiData } from "./data.ts";
import { BarePage, FailedBody, Frame, LoginHelp, type NavEntry, NotFoundBody } from "./layout.tsx";
import type { CommandFlags, UiAction, UiContent, UiContext, UiElement, UiPage, UiPorts } from "./page.ts";
import { addFlags } from "./parts.tsx";
import { REQUESTS, requestsPage } from "./pages/requests.tsx";
import { FILES } from "./files.ts";
import type { ApiConnection } from "../client/objects/api.ts";

/** The parts that the routes use. */
interface UiAppDeps {
  readonly pages: readonly UiPage[];
  readonly actions: readonly UiAction[];
  readonly sessions: UiSessions;
  readonly data: UiData;
  readonly connection: ApiConnection;
  readonly io: UiPorts;
  readonly logger: Logger;
  /** The server and the user of the connection, as text. */
  readonly place: string;
  /** The flags of commands that use the same connection. */
  readonly flags: CommandFlags;
  /** Finds the owner of a connection. */
  readonly findPeer: (socket: Socket) => Promise<Peer>;
  readonly port: () => number;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
}

type Env = { Bindings: HttpBindings; Variables: { readonly session: UiSession } };

const LOGIN_FAULTS: Readonly<Record<Exclude<Login["kind"], "opened">, string>> = {
  used:
    "This link was already used. A link works only once. The session that it opened was ended, in case it was not yours.",
  expired: "This link has expired.",
  unknown: "This server did not create this link.",
};

/** Creates the app with the routes of all pages and actions. */
export function createUiApp(deps: UiAppDeps): Hono<Env> {
  const app = new Hono<Env>();
  const nav = deps.pages.flatMap(({ path, nav }): NavEntry[] => nav === undefined ? [] : [{ path, label: nav }]);

  app.use(async (c, next) => {
    const refusal = findRefusal({
      method: c.req.method,
      target: c.req.url.slice(c.req.url.indexOf("/", "http://".length)),
      header: (name) => c.req.header(name),
    }, deps.port());
    if (await deps.findPeer(c.env.incoming.socket) === "foreign") {
      c.res = await sendBare(c, 403, "Refused", "The browser belongs to a different user than the page.");
    } else if (refusal === undefined) await next();
    else c.res = await sendBare(c, refusal.status, "Refused", refusal.message);
    for (const [name, value] of Object.entries(ANSWER_HEADERS)) c.res.headers.set(name, value);
  });
  for (const { path, type, text } of FILES) app.get(path, (c) => c.body(text, 200, { "content-type": type }));
  app.get("/login", (c) => {
    // A browser that already has a session may open its link again.
    if (findSession(c) !== undefined) return c.redirect("/", 303);
    const login = deps.sessions.login(c.req.query("key") ?? "");
    if (login.kind !== "opened") return sendBare(c, 403, "This link does not open the page", LOGIN_FAULTS[login.kind]);
    const cookie = `${getCookieName(deps.port())}=${login.cookie}; Path=/; HttpOnly; SameSite=Strict`;
    return c.body(null, 303, { location: "/", "set-cookie": cookie });
  });

  app.use(async (c, next) => {
    const session = findSession(c);
    if (session === undefined) {
      return await sendBare(c, 401, "Not signed in", "This browser has no session, or its session has ended.");
    }
    c.set("session", session);
    return await next();
  });
  const [first] = nav;
  app.get("/", (c) => c.redirect(first?.path ?? "/", 303));
  app.get("/events", (c) => {
    const live = (c.req.query("live") ?? "").split(",");
    const signal = AbortSignal.any([deps.signal, c.get("session").signal]);
    return streamEvents({ data: deps.data, clock: deps.io.clock, live, seen: c.req.query("version") ?? "" }, signal);
  });
  app.post("/logout", async (c) => {
    const form = await readForm(c);
    if (form === undefined) return await sendForeignForm(c);
    deps.sessions.end(findCookie(c.req.header("cookie"), getCookieName(deps.port())) ?? "");
    return await sendBare(c, 200, "Signed out", "The session has ended.");
  });
  for (const page of deps.pages) app.get(page.path, (c) => showPage(c, page));
  for (const action of deps.actions) app.post(action.path, (c) => runAction(c, action));
  app.notFound((c) => sendPage(c, 404, { title: "No such page", body: NotFoundBody() }));
  app.onError((error, c) => sendBare(c, 500, "tlsboot has failed", getErrorMessage(error)));
  return app;

  function findSession(c: Context<Env>): UiSession | undefined {
    const cookie = findCookie(c.req.header("cookie"), getCookieName(deps.port()));
    return cookie === undefined ? undefined : deps.sessions.find(cookie);
  }

  function createContext(c: Context<Env>): UiContext {
    const session = c.get("session");
    const url = new URL(c.req.url);
    return {
      data: deps.data,
      connection: deps.connection,
      io: deps.io,
      params: c.req.param() as Record<string, string>, // undefined only for routes without parameters
      query: url.searchParams,
      flags: deps.flags,
      now: deps.io.clock.now(),
      formToken: session.formToken,
      signal: AbortSignal.any([deps.signal, c.req.raw.signal]),
    };
  }

  async function showPage(c: Context<Env>, page: UiPage): Promise<Response> {
    try {
      const before = deps.data.describeVersion(page.live);
      const content = await page.render(createContext(c));
      const isOld = deps.data.describeVersion(page.live) !== before;
      return await sendPage(c, 200, content, content.live ?? page.live, isOld);
    } catch (error) {
      reportBug(c, error);
      return await sendFailure(c, error, page.live);
    }
  }

  async function runAction(c: Context<Env>, action: UiAction): Promise<Response> {
    const form = await readForm(c);
    if (form === undefined) return await sendForeignForm(c);
    const { notices } = c.get("session");
    try {
      const outcome = await action.run(createContext(c), form);
      if (outcome.kind === "shown") return await sendPage(c, 200, outcome.content);
      if (outcome.message !== undefined) notices.push({ kind: "done", text: outcome.message });
      return c.redirect(outcome.location, 303);
    } catch (error) {
      reportBug(c, error);
      return await sendFailure(c, error, []);
    }
  }

  /** Logs an error that no user can cause; the page shows its message only. */
  function reportBug(c: Context<Env>, error: unknown): void {
    if (!isAppError(error) && !c.req.raw.signal.aborted) deps.logger.error("page failed", { path: c.req.path, error });
  }

  /** Reads the form of a request; undefined if it does not belong to this session. */
  async function readForm(c: Context<Env>): Promise<URLSearchParams | undefined> {
    // Browsers send line breaks as CR and LF, whatever the page had (HTML standard, "form submission").
    const form = new URLSearchParams((await c.req.text()).replaceAll("%0D%0A", "%0A"));
    return deps.sessions.isOwnForm(c.get("session"), form.get("token") ?? "") ? form : undefined;
  }

  function sendForeignForm(c: Context<Env>): Promise<Response> {
    return sendPage(c, 403, {
      title: "Not done",
      body: FailedBody({ message: "the form does not belong to this session", hint: "open the page again" }),
    });
  }

  function sendFailure(c: Context<Env>, error: unknown, live: readonly string[]): Promise<Response> {
    const hint = isAppError(error) && error.hint !== undefined ? addFlags(error.hint, deps.flags) : undefined;
    const body = FailedBody({ message: getErrorMessage(error), hint });
    return sendPage(c, toStatus(error), { title: "This did not work", body }, live);
  }

  /** Sends a page. If its objects changed while it was rendered, it has no version, so it is fetched again. */
  async function sendPage(
    c: Context<Env>,
    status: 200 | FailureStatus,
    content: UiContent,
    live: readonly string[] = [],
    isOld = false,
  ): Promise<Response> {
    const session = c.get("session");
    // A refresh by the script leaves the messages for the next page that the user loads.
    const notices = c.req.header("x-refresh") === undefined ? session.notices : [];
    if (notices.length > 0) session.notices = [];
    return await sendHtml(
      c,
      status,
      Frame({
        content,
        nav,
        path: c.req.path,
        place: deps.place,
        formToken: session.formToken,
        notices,
        faults: deps.data.listFaults(live),
        live,
        version: isOld ? "" : deps.data.describeVersion(live),
        pending: await countPending(),
        requestsPath: requestsPage.path,
      }),
    );
  }

  /** Counts the pending requests; 0 if they cannot be listed. */
  async function countPending(): Promise<number> {
    try {
      const { entries } = await deps.data.read(REQUESTS, deps.signal);
      return entries.values().filter(({ state }) => state === "pending").toArray().length;
    } catch {
      return 0;
    }
  }

  function sendBare(c: Context<Env>, status: 200 | 400 | 500 | FailureStatus, title: string, text: string) {
    return sendHtml(c, status, BarePage({ title, children: LoginHelp({ text }) }));
  }
}

type FailureStatus = 401 | 403 | 404 | 405 | 409 | 411 | 413 | 414 | 415 | 421 | 422 | 500 | 502;

const STATUS: Readonly<Partial<Record<AppError["code"], FailureStatus>>> = {
  access_denied: 403,
  not_found: 404,
  conflict: 409,
  already_exists: 409,
  csr_deleted: 409,
  invalid: 422,
  usage: 422,
  internal: 500,
};

function toStatus(error: unknown): FailureStatus {
  return isAppError(error) ? STATUS[error.code] ?? 502 : 500;
}

/** Sends a page. Escapes invisible characters, which names and messages may contain. */
async function sendHtml(c: Context<Env>, status: 200 | 400 | 500 | FailureStatus, page: UiElement): Promise<Response> {
  return c.html(`<!doctype html>${escapeText(String(await page))}`, status);
}

/** The objects that an open page follows, and their state. */
interface EventsOptions {
  readonly data: UiData;
  readonly clock: Clock;
  /** The ids of the watches that the page shows. */
  readonly live: readonly string[];
  /** The state that the page shows, from `describeVersion`. */
  readonly seen: string;
}

/** The shortest time between two events, in milliseconds: a storm of requests is one event a second. */
const PAUSE_MS = 1_000;
/** The silence after which a comment line is sent, in milliseconds, so that both sides notice a broken connection. */
const SILENCE_MS = 20_000;

/** Answers with the events of a page, until the client leaves or the signal ends the stream. */
function streamEvents(options: EventsOptions, signal: AbortSignal): Response {
  const leaving = new AbortController();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      // A client that has left makes `enqueue` throw.
      sendEvents(options, (text) => controller.enqueue(ENCODER.encode(text)), AbortSignal.any([signal, leaving.signal]))
        .catch(() => undefined)
        .finally(() => {
          if (!leaving.signal.aborted) controller.close();
        });
    },
    cancel: () => leaving.abort(new Error("the page is closed")),
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}

const ENCODER = new TextEncoder();

/** Sends the events of a page until the signal ends them, which rejects. */
export async function sendEvents(
  options: EventsOptions,
  send: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { data, clock, live } = options;
  let { seen } = options;
  send("retry: 2000\n\n");
  while (true) {
    const version = data.describeVersion(live);
    if (version !== seen) {
      seen = version;
      send("event: changed\ndata: 1\n\n");
      await clock.sleep(PAUSE_MS, signal);
    } else if (!await data.waitForChange(live, SILENCE_MS, signal)) send(": still here\n\n");
  }
}
