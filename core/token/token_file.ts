/** The static token file of `--token-auth-file` (`apiserver/pkg/authentication/token/tokenfile/tokenfile.go`). */
import { Secret } from "../lib/brand.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { parseCsv } from "./csv.ts";

/** One token and the user that it authenticates. */
export interface TokenFileEntry {
  readonly token: Secret<string>;
  readonly username: string;
  readonly uid: string;
  /** The groups as written, neither trimmed nor checked. */
  readonly groups: readonly string[];
}

/** The contents of a token file, each token once, and warnings for the log. */
export interface TokenFile {
  readonly entries: readonly TokenFileEntry[];
  readonly warnings: readonly string[];
}

const MIN_COLUMNS = 3;

/**
 * Reads `token,user,uid[,"group1,group2"]` lines. The last line of a duplicate token wins. The error is kube-apiserver's and
 * never contains a token.
 */
export function parseTokenFile(text: string, path: string): Result<TokenFile, string> {
  const records = parseCsv(text);
  if (!records.ok) return records;
  const entries = new Map<string, TokenFileEntry>();
  const warnings: string[] = [];
  for (const [index, record] of records.value.entries()) {
    const [token = "", username = "", uid = "", groups] = record;
    if (record.length < MIN_COLUMNS) {
      return err(
        `token file '${path}' must have at least ${MIN_COLUMNS} columns (token, user name, user uid), ` +
          `found ${record.length}`,
      );
    }
    const where = `in token file '${path}', record number '${index + 1}'`;
    if (token === "") {
      warnings.push(`empty token has been found ${where}`);
      continue;
    }
    if (entries.has(token)) warnings.push(`duplicate token has been found ${where}`);
    entries.set(token, { token: new Secret(token), username, uid, groups: groups?.split(",") ?? [] });
  }
  return ok({ entries: [...entries.values()], warnings });
}
