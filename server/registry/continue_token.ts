/**
 * Tokens of chunked lists: base64url of `{"v":"meta.k8s.io/v1","rv":N,"start":"/<key>\u0000"}`, opaque to clients
 * (`apiserver/pkg/storage/continue.go`).
 */
import { Buffer } from "node:buffer";
import { JsonSyntaxError } from "../../core/kube/codec/errors.ts";
import { parseJson } from "../../core/kube/codec/json_parser.ts";
import { badRequest } from "../../core/kube/status.ts";

/** Where a list goes on. A negative revision means: at the newest state. */
export interface ContinueToken {
  readonly revision: number;
  /** Key below the list's prefix that was delivered last. */
  readonly lastKey: string;
}

const VERSION = "meta.k8s.io/v1";
const PREFIX = "invalid continue token: continue key is not valid";

/** Writes a token. */
export function encodeContinue(token: ContinueToken): string {
  const json = JSON.stringify({ v: VERSION, rv: token.revision, start: `/${token.lastKey}\u0000` });
  return Buffer.from(json, "utf8").toString("base64url");
}

/** Reads a token. Throws StatusError 400 with upstream's texts. */
export function parseContinue(text: string): ContinueToken {
  const parsed = decodeToken(text);
  if (parsed.v !== VERSION) {
    throw badRequest(`${PREFIX}: server does not recognize this encoded version ${parsed.v ?? ""}`);
  }
  if (typeof parsed.rv !== "number" || !Number.isSafeInteger(parsed.rv) || parsed.rv === 0) {
    throw badRequest(`${PREFIX}: incorrect encoded start resourceVersion (version ${VERSION})`);
  }
  if (typeof parsed.start !== "string" || parsed.start === "") {
    throw badRequest(`${PREFIX}: encoded start key empty (version ${VERSION})`);
  }
  const start = parsed.start.startsWith("/") ? parsed.start.slice(1) : parsed.start;
  // What Go's `path.Clean` would change could lead out of the list.
  const isUnclean = start !== "" && start.split("/").some((part) => ["", ".", ".."].includes(part));
  if (isUnclean) throw badRequest(`${PREFIX}: ${parsed.start}`);
  return { revision: parsed.rv, lastKey: start.endsWith("\u0000") ? start.slice(0, -1) : start };
}

function decodeToken(text: string): { readonly v?: unknown; readonly rv?: unknown; readonly start?: unknown } {
  try {
    const { value } = parseJson(Buffer.from(text, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? value : {};
  } catch (cause) {
    if (cause instanceof JsonSyntaxError) throw badRequest(`${PREFIX}: ${cause.message}`);
    throw cause;
  }
}
