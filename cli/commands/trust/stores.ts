/** Shows the stores of trusted CAs, prints the CA, and installs it in the stores or removes it from them. */
import { discoverPublishedCluster } from "../../../client/discover_cluster.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { findNearest } from "../../../core/lib/nearest.ts";
import { encodeCertificates, listBundled } from "../../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { readCasToTrust } from "../../cas_to_trust.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError, warn } from "../../framework/report.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io, Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { findTrustStores, toEntryName, type TrustStore } from "../../trust_stores.ts";
import { TRUST_STORES, type trustInstallCommand, type trustShowCommand, type trustUninstallCommand } from "./flags.ts";

type SourceSettings = Omit<Settings<typeof trustShowCommand.flags>, "print">;

const DISCOVERY_SECONDS = 30;

export async function runShow({ settings }: Input<typeof trustShowCommand.flags>, tools: Tools): Promise<ExitCode> {
  const certificates = await readCas(settings, tools);
  if (settings.print) {
    tools.stdout.write(encodeCertificates(certificates));
    return EXIT.done;
  }
  for (const certificate of certificates) tools.stdout.write(line`${describeCa(certificate)}\n`);
  const stores = await findTrustStores(tools);
  for (const store of stores) {
    const entries = await store.list().catch((error: unknown) => getErrorMessage(error));
    const state = typeof entries === "string"
      ? entries
      : certificates.every((certificate) => entries.includes(toEntryName(certificate)))
      ? "trusts it"
      : "does not have it";
    tools.stdout.write(line`${store.name}: ${state} (${store.title})\n`);
  }
  if (stores.length === 0) {
    tools.stdout.write("this machine has none of the stores that tlsboot knows; see --print\n");
  }
  return EXIT.done;
}

export async function runInstall(
  { settings }: Input<typeof trustInstallCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const stores = await chooseStores(settings.store, tools);
  const certificates = await readCas(settings, tools);
  for (const certificate of certificates) tools.stdout.write(line`${describeCa(certificate)}\n`);
  const code = await changeEach(stores, async (store) => {
    await store.install(certificates);
    return `installed for ${store.title}`;
  }, tools);
  remindOfUser(tools);
  return code;
}

export async function runUninstall(
  { settings }: Input<typeof trustUninstallCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const stores = await chooseStores(settings.store, tools);
  const wanted = settings.all ? undefined : (await readCas(settings, tools)).map(toEntryName);
  const code = await changeEach(stores, async (store) => {
    const entries = (await store.list()).filter((entry) => wanted?.includes(entry) ?? true);
    if (entries.length === 0) return "nothing to remove";
    await store.uninstall(entries);
    return `removed from ${store.title}`;
  }, tools);
  remindOfUser(tools);
  return code;
}

/** Reads the CAs from a server, a file or the data directory. */
async function readCas(settings: SourceSettings, tools: Tools): Promise<readonly CertificateFacts[]> {
  const { server, caCertHash } = settings;
  if (server === undefined) {
    const hint = "name the CA with --ca-cert, the data directory with --data-dir, or a server with --server and " +
      "--ca-cert-hash";
    return await readCasToTrust(settings, hint, tools);
  }
  const options = { ...tools, server, pins: caCertHash, waitSeconds: DISCOVERY_SECONDS };
  return listBundled((await discoverPublishedCluster(options, tools.signal)).caPem);
}

/** Returns the named stores, or all. Throws UsageError for an unknown name, and AppError `not_found` without a store. */
async function chooseStores(names: readonly string[], tools: Tools): Promise<readonly TrustStore[]> {
  const all = await findTrustStores(tools);
  for (const name of names) {
    if (all.some((store) => store.name === name)) continue;
    if (TRUST_STORES.some((known) => known === name)) {
      throw new AppError("not_found", `cannot change the store ${name}: this machine does not have it`, {
        hint: "tlsboot trust show lists the stores of this machine; --print prints the CA for others",
      });
    }
    const nearest = findNearest(name, TRUST_STORES);
    throw new UsageError(
      `cannot use "${name}" as --store`,
      nearest === undefined ? `want one of ${TRUST_STORES.join(", ")}` : `did you mean ${nearest}?`,
    );
  }
  const chosen = names.length === 0 ? all : all.filter((store) => names.includes(store.name));
  if (chosen.length > 0) return chosen;
  throw new AppError("not_found", "this machine has none of the stores that tlsboot knows", {
    hint: "print the CA with --print, and import it by hand",
  });
}

/** Changes each store, even after a failure in another one. */
async function changeEach(
  stores: readonly TrustStore[],
  change: (store: TrustStore) => Promise<string>,
  tools: Tools,
): Promise<ExitCode> {
  let hasFailed = false;
  for (const store of stores) {
    try {
      tools.stdout.write(line`${store.name}: ${await change(store)}\n`);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      hasFailed = true;
      const isDenied = /EACCES|EPERM|[Pp]ermission denied/.test(error.message);
      const hint = isDenied ? "run it with sudo, or choose other stores with --store" : error.hint;
      const named = new AppError(error.code, `${store.name}: ${error.message}`, { cause: error, hint });
      reportError(named, tools, tools.isDebug);
    }
  }
  return hasFailed ? EXIT.failed : EXIT.done;
}

/** Warns that sudo changes the browsers of root, and not those of the user. */
function remindOfUser(io: Io): void {
  const user = io.env["SUDO_USER"];
  if (user === undefined || user === "root") return;
  warn(`for the browsers of ${user}, run it again without sudo and with --store nss`, io);
}

function describeCa(certificate: CertificateFacts): string {
  return `CA ${formatName(certificate.subject)} ${publicKeyPin(certificate)}`;
}
