/** Static tokens, found by their hash: neither the tokens nor the time of a lookup tell anything about a near miss. */
import { createHash } from "node:crypto";
import type { TokenFile } from "../../core/bootstrap/token_file.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { TokenAuthenticator } from "./authentication.ts";

/** Builds the authenticator for a token file that was read at start. */
export function createTokenFileAuthenticator(file: TokenFile): TokenAuthenticator {
  const users = new Map<string, UserInfo>(file.entries.map(({ token, username, uid, groups }) => [
    hashOf(token.reveal()),
    { username, uid, groups, extra: {} },
  ]));
  return (token) => {
    const user = users.get(hashOf(token));
    return Promise.resolve(user === undefined ? { kind: "none" } : { kind: "user", user });
  };
}

function hashOf(token: string): string {
  return createHash("sha256").update(token, "utf8").digest("base64");
}
