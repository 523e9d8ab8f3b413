/** Reads shares of a passphrase from files, or as the user types them from paper, and combines them. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import { Secret } from "../../core/lib/brand.ts";
import {
  combineShares,
  countGroups,
  describeShare,
  findGroupFault,
  findShareFault,
  type NamedShare,
  parseShare,
  type SecretShare,
  type ShareFault,
  splitIntoGroups,
} from "./secret_shares.ts";
import { readPrivateFile } from "../../client/private_file.ts";
import type { Tools } from "../io.ts";

/** The value of `--ca-passphrase-file` for shares that are typed, or lines of stdin. */
export const TYPED_SHARES = "-";

/** The tools of a command that reading shares needs. */
export type ShareTools = Pick<Tools, "stdin" | "stderr" | "cwd" | "files" | "signal">;

/**
 * Reads the shares that `--ca-passphrase-file` names and combines them. Throws AppError `passphrase_missing` when there are
 * too few, and `share_invalid` for a share that is mistyped, of another set, or given twice.
 */
export async function readPassphraseOfShares(values: readonly string[], tools: ShareTools): Promise<Secret<string>> {
  return await combine(await readShares(values, tools));
}

/** Reads the shares in files and those that are typed, without combining them. Throws as {@link readPassphraseOfShares}. */
export async function readShares(values: readonly string[], tools: ShareTools): Promise<readonly NamedShare[]> {
  const shares: NamedShare[] = [];
  for (const file of values.filter((value) => value !== TYPED_SHARES)) {
    shares.push(await readShareFile(file, tools));
    assertNoFault(shares);
  }
  return values.includes(TYPED_SHARES) ? await readTypedShares(shares, tools) : shares;
}

/** Combines a share that was given instead of a passphrase, in a line of stdin or at a prompt, with those after it. */
export async function completeShares(text: string, tools: ShareTools): Promise<Secret<string>> {
  return await combine(await readTypedShares([{ name: "the first share", share: parseShareLine(text, 1) }], tools));
}

/** Reads one share from a file that only its owner may read. */
export async function readShareFile(
  file: string,
  { cwd, files }: Pick<ShareTools, "cwd" | "files">,
): Promise<NamedShare> {
  const hint = "check the path of the share, which cannot have a comma, or give - to type it from its paper";
  const share = parseShare(await readPrivateFile(resolve(cwd, file), files, { what: `share "${file}"`, hint }));
  if (share.ok) return { name: `"${file}"`, share: share.value };
  throw new AppError("share_invalid", `cannot use share "${file}": ${share.error}`, {
    hint: "compare the file with the paper of this share; if it has the passphrase itself, give no other file",
  });
}

async function combine(shares: readonly NamedShare[]): Promise<Secret<string>> {
  const passphrase = await combineShares(shares);
  if (passphrase.ok) return new Secret(passphrase.value);
  throw toError(passphrase.error);
}

/** Throws when shares do not belong together. Too few shares are not a fault yet. */
function assertNoFault(shares: readonly NamedShare[]): void {
  const fault = findShareFault(shares);
  if (fault !== undefined && fault.kind !== "too few") throw toError(fault);
}

const FAULT_HINTS: Readonly<Record<ShareFault["kind"], string>> = {
  "too few": "give more of them, or - to type them from paper",
  mixed: "give shares of one set only; each page names its set",
  repeated: "give another share in place of one of them",
  damaged: "check each share with: tlsboot ca shares check",
};

function toError({ kind, message }: ShareFault): AppError {
  return new AppError(
    kind === "too few" ? "passphrase_missing" : "share_invalid",
    `cannot combine the shares: ${message}`,
    { hint: FAULT_HINTS[kind] },
  );
}

/** Reads shares until there are enough: group by group on a terminal, and otherwise each from a line of stdin. */
async function readTypedShares(given: readonly NamedShare[], tools: ShareTools): Promise<readonly NamedShare[]> {
  const shares = [...given];
  while (shares.length < (shares[0]?.share.threshold ?? 2)) {
    const name = `share ${shares.length + 1} of those that were typed`;
    const share = tools.stdin.isTerminal
      ? await typeShare(shares, tools)
      : await readShareLine(shares.length + 1, tools);
    if (share === undefined) break;
    shares.push({ name, share });
    if (!tools.stdin.isTerminal) {
      assertNoFault(shares);
      continue;
    }
    const fault = findShareFault(shares);
    if (fault !== undefined && fault.kind !== "too few") {
      tools.stderr.write(`This share does not fit: ${fault.message}.\n`);
      shares.pop();
    } else tools.stderr.write(`This is ${describeShare(share)}.\n`);
  }
  return shares;
}

async function readShareLine(number: number, { stdin, signal }: ShareTools): Promise<SecretShare | undefined> {
  const text = await stdin.readLine(signal);
  return text === undefined || text.trim() === "" ? undefined : parseShareLine(text, number);
}

function parseShareLine(text: string, number: number): SecretShare {
  const share = parseShare(text);
  if (share.ok) return share.value;
  throw new AppError("share_invalid", `cannot use the share in line ${number}: ${share.error}`, {
    hint: "give one share in each line",
  });
}

/**
 * Asks for the groups of a share one after another, and again for a mistyped group. The user may type several groups in one
 * line. Undefined when the user ends the input.
 */
async function typeShare(shares: readonly NamedShare[], tools: ShareTools): Promise<SecretShare | undefined> {
  const { stdin, stderr, signal } = tools;
  const threshold = shares[0]?.share.threshold;
  const which = `Share ${shares.length + 1}${threshold === undefined ? "" : ` of the ${threshold} that are needed`}`;
  const groups: string[] = [];
  let wanted = 8;
  while (groups.length < wanted) {
    stderr.write(`${which}, group ${groups.length + 1}${groups.length === 0 ? "" : ` of ${wanted}`}: `);
    const text = await stdin.readHidden(signal);
    // The terminal did not echo the Enter key.
    stderr.write("\n");
    if (text === undefined) return undefined;
    for (const group of splitIntoGroups(text)) {
      const fault = findGroupFault(group, groups.length);
      if (fault !== undefined) {
        stderr.write(`Type group ${groups.length + 1} again: ${fault}.\n`);
        break;
      }
      groups.push(group);
      if (groups.length > 1) continue;
      const count = countGroups(group);
      if (count.ok) wanted = count.value;
      else {
        stderr.write(`Type group 1 again: ${count.error}.\n`);
        groups.pop();
        break;
      }
    }
  }
  const share = parseShare(groups.join(" "));
  if (share.ok) return share.value;
  stderr.write(`Type this share again: ${share.error}.\n`);
  return await typeShare(shares, tools);
}
