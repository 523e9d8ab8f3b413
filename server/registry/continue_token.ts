/**
 * Tokens of chunked lists: base64url of `{"v":"meta.k8s.io/v1","rv":N,"start":"/<key>\u0000"}`, opaque to clients
 * (`apiserver/pkg/storage/continue.go`).
 */
import { Buffer } from "node:buffer";
import { decodeRawUrlBase64 } from "../../core/kube/wire/base64.ts";
import { DecodeError, goJsonType, JsonSyntaxError } from "../../core/kube/wire/errors.ts";
import { listMembers, parseJson } from "../../core/kube/wire/json_parser.ts";
import { parseInt64 } from "../../core/kube/int64.ts";
import { isJsonObject } from "../../core/kube/json_value.ts";
import { badRequest } from "../../core/kube/status/status.ts";
import { lookup } from "../../core/lib/record.ts";

/** The place where a list continues. A negative revision means the newest state. */
export interface ContinueToken {
  readonly revision: number;
  /** The first key below the list's prefix that may be listed: the last delivered key plus a NUL. */
  readonly start: string;
}

const VERSION = "meta.k8s.io/v1";
const PREFIX = "invalid continue token: continue key is not valid";
const TYPES: Readonly<Record<string, string>> = { v: "string", rv: "int64", start: "string" };

/** Encodes a token. The key of a `rooted` one begins with a slash, as in tokens of kube-apiserver's watch cache. */
export function encodeContinue({ revision, start }: ContinueToken, { rooted }: { readonly rooted: boolean }): string {
  const json = JSON.stringify({ v: VERSION, rv: revision, start: rooted ? `/${start}` : start });
  return Buffer.from(json, "utf8").toString("base64url");
}

/** Parses a token. Throws StatusError 400 with upstream's texts. */
export function parseContinue(text: string): ContinueToken {
  const { v = "", rv = 0, start = "" } = decodeToken(text);
  if (v !== VERSION) throw badRequest(`${PREFIX}: server does not recognize this encoded version ${v}`);
  if (rv === 0) throw badRequest(`${PREFIX}: incorrect encoded start resourceVersion (version ${VERSION})`);
  if (start === "") throw badRequest(`${PREFIX}: encoded start key empty (version ${VERSION})`);
  const key = start.startsWith("/") ? start.slice(1) : start;
  // A key that Go's `path.Clean` would change could lead out of the list.
  const isUnclean = key !== "" && key.split("/").some((part) => ["", ".", ".."].includes(part));
  if (isUnclean) throw badRequest(`${PREFIX}: ${start}`);
  return { revision: Number(rv), start: key };
}

interface DecodedToken {
  readonly v?: string;
  readonly rv?: number;
  readonly start?: string;
}

function decodeToken(text: string): DecodedToken {
  try {
    const document = parseJson(decodeRawUrlBase64(text));
    const { value } = document;
    if (value === null) return {};
    if (!isJsonObject(value)) {
      throw new DecodeError(`json: cannot unmarshal ${goJsonType(value)} into Go value of type storage.continueToken`);
    }
    const token: Record<string, unknown> = {};
    for (const { key, value: member, literal } of listMembers(document, value)) {
      // Go accepts field names in any case.
      const field = key.toLowerCase();
      const type = lookup(TYPES, field);
      if (type === undefined || member === null) continue;
      const number = type === "int64" && typeof member === "number" ? literal ?? String(member) : undefined;
      if (number === undefined ? goJsonType(member) !== type : parseInt64(number) === undefined) {
        const found = number === undefined ? goJsonType(member) : `number ${number}`;
        const place = `Go struct field continueToken.${field} of type ${type}`;
        throw new DecodeError(`json: cannot unmarshal ${found} into ${place}`);
      }
      token[field] = member;
    }
    return token;
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError || cause instanceof DecodeError)) throw cause;
    throw badRequest(`${PREFIX}: ${cause.message}`);
  }
}
