/** Parses the targets of `tlsboot revoke` as they are typed: a serial number, or a word and a name such as `node/n1`. */
import { findNearest } from "../../core/lib/nearest.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import type { RevocationTarget } from "../../core/revocation/revocation.ts";
import { AppError } from "../../core/errors.ts";
import { CERTIFICATE_WORDS, parseRecordReference } from "./record_source.ts";

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
/** The name of a Revocation, as `tlsboot get revocations` prints it. */
const REVOCATION_NAME = /^(?:revocation\.tlsboot\/)?(serial|node|user|group|token):(.+)$/s;

/** Parses a target. Throws AppError `usage` with the nearest word. */
export function parseTypedTarget(typed: string): TypedTarget {
  const text = typed.replace(REVOCATION_NAME, (_, kind: string, value: string) => `${kind}/${value}`);
  const slash = text.indexOf("/");
  if (slash < 0 || CERTIFICATE_WORDS.test(text)) return parseCertificate(text);
  const word = text.slice(0, slash);
  const name = text.slice(slash + 1);
  const kind = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  if (kind === undefined) {
    const nearest = findNearest(word, Object.keys(WORDS));
    throw new AppError(
      "usage",
      `cannot use "${hideSecret(text)}": want a serial number, node/NAME, user/NAME, group/NAME, token/ID or csr/NAME`,
      { hint: nearest === undefined ? undefined : `did you mean ${shellWord(`${nearest}/${hideSecret(name)}`)}?` },
    );
  }
  if (name === "") throw new AppError("usage", `cannot use "${text}": the name is missing`);
  if (kind === "csr") return { kind, text, name };
  if (kind !== "token") return { kind: "named", text, target: { kind, value: name } };
  const value = toTokenId(name);
  return { kind: "named", text: `${kind}/${value}`, target: { kind, value } };
}

/** A text of the form of a bootstrap token: its id, and a secret that may be mistyped. */
const TOKEN_LIKE = /(?<![a-z0-9])([a-z0-9]{6})\.[a-z0-9]{10,}/g;

/** Leaves out what may be the secret of a token, because messages are kept in logs. */
function hideSecret(text: string): string {
  return text.replace(TOKEN_LIKE, "$1");
}

function parseCertificate(text: string): TypedTarget {
  if (/^[0-9a-f:]+$/i.test(text) || /[/=]/.test(text)) {
    parseRecordReference(text);
    return { kind: "certificate", text };
  }
  const shown = hideSecret(text);
  const token = /^[a-z0-9]{6}$/.test(shown) ? `for a token write token/${shown}, ` : "";
  const [node, user] = shown === text ? [`node/${text}`, `user/${text}`] : ["node/NAME", "user/NAME"];
  throw new AppError("usage", `cannot use "${shown}": it is not a serial number`, {
    hint: `${token}for a machine or a person write ${shellWord(node)} or ${shellWord(user)}`,
  });
}

/** Returns the id of a token; the secret of a whole one must not become a part of an object. */
function toTokenId(text: string): string {
  const id = /^([a-z0-9]{6})(\.[a-z0-9]{16})?$/.exec(text)?.[1];
  if (id !== undefined) return id;
  throw new AppError("usage", "cannot read the token: want its id, six characters of a-z and 0-9", {
    hint: "list the ids with: tlsboot token list",
  });
}
