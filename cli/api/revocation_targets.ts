/** What a user wants to revoke, as it is typed: a serial number, or a word and a name such as `node/n1`. */
import { findNearest } from "../../core/lib/nearest.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import type { RevocationTarget } from "../../core/revocation/revocation.ts";
import { UsageError } from "../framework/usage_error.ts";
import { parseRecordReference } from "./record_source.ts";

/** The target of `revoke` or `unrevoke` before it is looked up. */
export type TypedTarget =
  /** A certificate by its serial number, the beginning of it, or its record. */
  | { readonly kind: "certificate"; readonly text: string }
  | { readonly kind: "csr"; readonly text: string; readonly name: string }
  | { readonly kind: "named"; readonly text: string; readonly target: RevocationTarget };

const WORDS: Readonly<Record<string, "csr" | "node" | "user" | "group" | "token">> = {
  csr: "csr",
  "certificatesigningrequest.certificates.k8s.io": "csr",
  node: "node",
  user: "user",
  group: "group",
  token: "token",
};
const CERTIFICATE_WORDS = /^(certs?|certificates?|issuedcertificates?(\.tlsboot)?|serial)\//;
/** The name of a Revocation, as `tlsboot get revocations` prints it. */
const REVOCATION_NAME = /^(?:revocation\.tlsboot\/)?(serial|node|user|group|token):(.+)$/s;

/** Parses a target. Throws UsageError with the nearest word. */
export function parseTypedTarget(typed: string): TypedTarget {
  const text = typed.replace(REVOCATION_NAME, (_, kind: string, value: string) => `${kind}/${value}`);
  const slash = text.indexOf("/");
  if (slash < 0 || CERTIFICATE_WORDS.test(text)) return parseCertificate(text);
  const word = text.slice(0, slash);
  const name = text.slice(slash + 1);
  const kind = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  if (kind === undefined) {
    const nearest = findNearest(word, Object.keys(WORDS));
    throw new UsageError(
      `cannot use "${text}": want a serial number, node/NAME, user/NAME, group/NAME, token/ID or csr/NAME`,
      nearest === undefined ? undefined : `did you mean ${shellWord(`${nearest}/${name}`)}?`,
    );
  }
  if (name === "") throw new UsageError(`cannot use "${text}": the name is missing`);
  if (kind === "csr") return { kind, text, name };
  return { kind: "named", text, target: { kind, value: kind === "token" ? toTokenId(name) : name } };
}

function parseCertificate(text: string): TypedTarget {
  if (/^[0-9a-f:]+$/i.test(text) || /[/=]/.test(text)) {
    parseRecordReference(text);
    return { kind: "certificate", text };
  }
  throw new UsageError(
    `cannot use "${text}": it is not a serial number`,
    `for a machine or a person write ${shellWord(`node/${text}`)} or ${shellWord(`user/${text}`)}`,
  );
}

/** Returns the id of a token; the secret of a whole one must not become a part of an object. */
function toTokenId(text: string): string {
  const id = /^([a-z0-9]{6})(\.[a-z0-9]{16})?$/.exec(text)?.[1];
  if (id !== undefined) return id;
  throw new UsageError(
    "cannot read the token: want its id, six characters of a-z and 0-9",
    "list the ids with: tlsboot token list",
  );
}
