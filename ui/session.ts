/**
 * Decides whose browser may use the page: a link that works once opens a session, whose cookie the browser then sends. Keys
 * and cookies are 256 random bits; only their digests are kept.
 */
import { Buffer } from "node:buffer";
import { equalsInConstantTime } from "../core/lib/brand.ts";
import { hash } from "node:crypto";
import type { Clock, Random } from "../core/ports.ts";

/** How long a link may be used after it was printed, in milliseconds. */
export const LINK_LIFETIME_MS = 15 * 60 * 1000;
/** How long a session lasts: a working day, in milliseconds. */
const SESSION_LIFETIME_MS = 12 * 60 * 60 * 1000;
/** The largest number of sessions; the oldest one ends when another begins. */
const MAX_SESSIONS = 16;

/** A message that the next page shows once, such as the result of a form. */
export interface Notice {
  readonly kind: "done" | "fault";
  readonly text: string;
}

/** A browser that has opened a link. */
export interface UiSession {
  /** The token that every form of the session contains, so that no other site can send one. */
  readonly formToken: string;
  /** The messages that are to be shown on the next page. */
  notices: Notice[];
  /** Aborts when the session ends, which ends its streams of events. */
  readonly signal: AbortSignal;
}

/** The outcome of a login: a new session with its cookie, or the reason why there is none. */
export type Login =
  | { readonly kind: "opened"; readonly cookie: string }
  | { readonly kind: "used" | "expired" | "unknown" };

/** The links and the sessions of one server. */
export interface UiSessions extends Disposable {
  /** Creates the key of another link. */
  createKey(): string;
  /**
   * Opens a session with a key. A key that is used again by another browser ends the session that it opened: one of the
   * two is not the user (RFC 6749, section 4.1.2, has the same rule for its codes).
   */
  login(key: string): Login;
  find(cookie: string): UiSession | undefined;
  /** Reports whether a form was made for a session. */
  isOwnForm(session: UiSession, token: string): boolean;
  /** Ends the session of a cookie. */
  end(cookie: string): void;
}

interface Opened extends UiSession {
  readonly endsAt: number;
  readonly life: AbortController;
}

interface Link {
  readonly expiresAt: number;
  /** The digest of the cookie of the session that the link opened. */
  session: string | undefined;
}

export function createUiSessions(deps: { readonly clock: Clock; readonly random: Random }): UiSessions {
  const { clock, random } = deps;
  const links = new Map<string, Link>();
  const sessions = new Map<string, Opened>();
  const createSecret = () => Buffer.from(random.bytes(32)).toString("base64url");

  function close(id: string): void {
    sessions.get(id)?.life.abort(new Error("the session has ended"));
    sessions.delete(id);
  }

  return {
    createKey() {
      const key = createSecret();
      links.set(digest(key), { expiresAt: clock.elapsedMs() + LINK_LIFETIME_MS, session: undefined });
      return key;
    },
    login(key) {
      // Found by its digest, so the time of the search depends on no part of the key.
      const link = links.get(digest(key));
      if (link === undefined) return { kind: "unknown" };
      if (link.session !== undefined) {
        close(link.session);
        return { kind: "used" };
      }
      if (clock.elapsedMs() >= link.expiresAt) return { kind: "expired" };
      const cookie = createSecret();
      const life = new AbortController();
      link.session = digest(cookie);
      sessions.set(link.session, {
        formToken: createSecret(),
        notices: [],
        signal: life.signal,
        endsAt: clock.elapsedMs() + SESSION_LIFETIME_MS,
        life,
      });
      const [oldest = ""] = sessions.keys();
      if (sessions.size > MAX_SESSIONS) close(oldest);
      return { kind: "opened", cookie };
    },
    find(cookie) {
      const id = digest(cookie);
      const session = sessions.get(id);
      if (session !== undefined && clock.elapsedMs() >= session.endsAt) close(id);
      return sessions.get(id);
    },
    isOwnForm: (session, token) => equalsInConstantTime(session.formToken, token),
    end: (cookie) => close(digest(cookie)),
    [Symbol.dispose]() {
      for (const id of [...sessions.keys()]) close(id);
    },
  };
}

function digest(secret: string): string {
  return hash("sha256", secret);
}
