/** Lists the names that a shell completes: serial numbers, requests, revocations, tokens, and targets of `revoke`. */
import { connect } from "./connection.ts";
import { type ApiClient, listAll } from "../client/objects/api.ts";
import { limitTime } from "../client/transport/time_limit.ts";
import { AppError } from "../core/errors.ts";
import type { ClusterTrustBundle } from "../core/kube/kinds/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import type { IssuedCertificate, Revocation } from "../core/kube/kinds/tlsboot_v1alpha1.ts";
import { parseNodeUser } from "../core/kube/user.ts";
import { DATA_DIR_FLAG } from "./flags/common.ts";
import type { CompletedName } from "./framework/completion.ts";
import { type CompletedObjects, environmentName } from "./framework/flags.ts";
import type { Io, Tools } from "./io.ts";
import { listCsrs } from "../client/admin/csrs.ts";
import { flattenPages, listRecordPages, REVOCATION_COLLECTION } from "../client/admin/records.ts";
import { listTokens } from "../client/admin/tokens.ts";
import { TRUST_BUNDLE_COLLECTION } from "../client/admin/trust_bundles.ts";
import { readIdentity } from "../core/register/certificate_user.ts";

/** The time limit for an answer after the user pressed Tab. */
const LIMIT_MS = 1_500;
/** The largest number of names that are offered. */
const MAX_NAMES = 200;
/** The number of digits of a serial number to offer, as in tables. */
const SERIAL_DIGITS = 12;

/** Lists names that begin with the last word: those found within the time limit, and none without a server. */
export async function listCompletedNames(
  objects: CompletedObjects,
  words: readonly string[],
  tools: Tools,
): Promise<readonly CompletedName[]> {
  const typed = words[words.length - 1] ?? "";
  const found = new Map<string, string>();
  await using limit = limitTime(
    tools.clock,
    LIMIT_MS,
    () => new AppError("timeout", "no answer in time"),
    tools.signal,
  );
  try {
    const find = (key: SettingKey): string | undefined => findSetting(key, words, tools);
    await using connection = await connect({
      kubeconfig: find("kubeconfig"),
      context: find("context"),
      dataDir: find("dataDir") ?? DATA_DIR_FLAG.default,
    }, tools);
    for await (const { name, description } of listNames(objects, typed, connection.api, limit.signal)) {
      if (name.startsWith(typed)) found.set(name, description);
      if (found.size >= MAX_NAMES) break;
    }
  } catch (error) {
    // A shell cannot show an error while it completes a line.
    if (!(error instanceof AppError)) throw error;
  }
  return [...found].map(([name, description]) => ({ name, description }));
}

/** The flags of the connection, as the user types them. */
const SETTING_FLAGS = { kubeconfig: "--kubeconfig", context: "--context", dataDir: "--data-dir" } as const;

type SettingKey = keyof typeof SETTING_FLAGS;

/** Finds the value of a flag on the command line, or else in the environment. */
function findSetting(key: SettingKey, words: readonly string[], { env }: Io): string | undefined {
  const flag = SETTING_FLAGS[key];
  const at = words.findLastIndex((word) => word === flag || word.startsWith(`${flag}=`));
  if (at < 0) return env[environmentName(key)];
  return words[at] === flag ? words[at + 1] : words[at]?.slice(flag.length + 1);
}

async function* listNames(
  objects: CompletedObjects,
  typed: string,
  api: ApiClient,
  signal: AbortSignal,
): AsyncGenerator<CompletedName> {
  switch (objects) {
    case "certificates":
      for await (const record of flattenPages(listRecordPages(api, {}, signal))) yield* toSerial(record);
      return;
    case "requests":
      for (const csr of (await listCsrs(api, {}, signal)).items) {
        yield { name: getName(csr), description: csr.spec.signerName };
      }
      return;
    case "revocations":
      for (const revocation of (await listAll<Revocation>(api, REVOCATION_COLLECTION, {}, signal)).items) {
        yield { name: getName(revocation), description: revocation.spec.reason };
      }
      return;
    case "tokens":
      for (const { id, description } of await listTokens(api, false, new Date(0), signal)) {
        yield { name: id, description };
      }
      return;
    case "trustBundles":
      for (const bundle of (await listAll<ClusterTrustBundle>(api, TRUST_BUNDLE_COLLECTION, {}, signal)).items) {
        yield { name: getName(bundle), description: bundle.spec.signerName ?? "" };
      }
      return;
    case "revocable":
      yield* listRevocable(typed, api, signal);
  }
}

const KIND_WORDS: readonly CompletedName[] = [
  { name: "node/", description: "a node" },
  { name: "user/", description: "a user" },
  { name: "group/", description: "a group" },
  { name: "token/", description: "a bootstrap token" },
  { name: "csr/", description: "a request" },
];

/** Lists the words for kinds and the serial numbers. After the word for a kind, lists the names of that kind. */
async function* listRevocable(typed: string, api: ApiClient, signal: AbortSignal): AsyncGenerator<CompletedName> {
  const [kind = "", ...rest] = typed.split("/");
  if (rest.length === 0) {
    yield* KIND_WORDS;
    if (/^[0-9a-f]*$/.test(kind)) yield* listNames("certificates", typed, api, signal);
  } else if (kind === "csr" || kind === "token") {
    for await (const { name, description } of listNames(kind === "csr" ? "requests" : "tokens", typed, api, signal)) {
      yield { name: `${kind}/${name}`, description };
    }
  } else {
    for await (const record of flattenPages(listRecordPages(api, {}, signal))) {
      const { username = "", groups = [] } = readIdentity(record) ?? {};
      const node = parseNodeUser(username);
      if (kind === "group") { for (const name of groups) yield { name: `group/${name}`, description: "" }; }
      else if (kind === "user" && node === undefined && username !== "") {
        yield { name: `user/${username}`, description: "" };
      } else if (kind === "node" && node !== undefined) yield { name: `node/${node}`, description: "" };
    }
  }
}

function* toSerial({ spec }: IssuedCertificate): Generator<CompletedName> {
  const { serialNumber, subject = "" } = spec;
  if (serialNumber !== undefined) yield { name: serialNumber.slice(0, SERIAL_DIGITS), description: subject };
}
