/** Lists ClusterTrustBundles, and writes them to a file for programs outside of the cluster: once, or after each change. */
import { resolve } from "node:path";
import { checkBundleFile } from "../../../client/node_trust.ts";
import { followTrustBundles, getTrustBundlePem, reportTrust } from "../../../client/objects/trust_bundles.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import type { ClusterTrustBundle } from "../../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_SERVING_SIGNER } from "../../../core/kube/kinds/constants.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import { decideTrust, describeTrustBundle, mergeTrustBundles } from "../../../core/pki/x509/ca_bundle.ts";
import type { Logger, Transport } from "../../../core/ports.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { createHookError, runHookCommand } from "../../hooks.ts";
import { PUBLIC_MODE } from "../../../client/files.ts";
import type { Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { displayPath } from "../../output/files.ts";
import { line } from "../../../core/lib/printable.ts";
import { type getTrustBundlesCommand, parseTrustBundleName, type trustFetchCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import {
  createNoBundleError,
  explainTrustBundleFailure,
  readTrustBundles,
  toTrustBundleSelectors,
  type TrustBundleSelection,
} from "../../../client/admin/trust_bundles.ts";
import { clusterTrustBundleKind } from "../../../core/kube/kinds/mod.ts";
import { showObjects } from "../../output/show_objects.ts";
import type { OwnTable } from "../../output/server_tables.ts";

interface Context extends Tools {
  readonly settings: Input<typeof trustFetchCommand.flags>["settings"];
  readonly selection: TrustBundleSelection;
  readonly path: string;
  readonly logger: Logger;
  /** Whether the command of `--exec` failed after the last change, so that no program has read the file. */
  readonly hook: { hasFailed: boolean };
}

export async function runFetchBundle(input: Input<typeof trustFetchCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const { settings } = input;
  const context: Context = {
    ...tools,
    settings,
    selection: parseSelection(input),
    path: resolve(tools.cwd, settings.out ?? ""),
    logger: createLogger({ ...tools, level: tools.isDebug ? "debug" : "warn" }),
    hook: { hasFailed: false },
  };
  if (settings.out === STDOUT) return await print(context);
  await checkBundleFile(context.path, tools.files);
  if (settings.watch) return await keepBundleFresh(context);
  await using connection = await connect(settings, tools);
  const bundles = await readTrustBundles(connection.api, context.selection, signal);
  const isNew = await writeBundles(bundles, context);
  if (!isNew) {
    tools.stdout.write(line`nothing to do: ${displayPath(context.path, tools.cwd)} already has these certificates\n`);
  }
  const fault = isNew ? await runExec(context, signal) : undefined;
  if (fault !== undefined) throw createHookError("the bundle", [fault]);
  await report(bundles, connection.transport, context, signal);
  return EXIT.done;
}

/** The value of `--out` that prints the certificates. */
const STDOUT = "-";

/** Prints the certificates of the bundles. */
async function print(context: Context): Promise<ExitCode> {
  const { settings, selection, signal } = context;
  await using connection = await connect(settings, context);
  context.stdout.write(mergeBundles(await readTrustBundles(connection.api, selection, signal), selection).pem);
  return EXIT.done;
}

/** Parses the selection of bundles from the arguments and flags. Throws UsageError for an invalid name. */
function parseSelection({ args: [name = ""], settings }: Input<typeof trustFetchCommand.flags>): TrustBundleSelection {
  const { signer: signerName, selector: labelSelector } = settings;
  return signerName === undefined
    ? { kind: "name", name: parseTrustBundleName(name) }
    : { kind: "signer", signerName, labelSelector };
}

/** Merges the certificates of the bundles. Throws AppError when there are no bundles, or no certificates in them. */
function mergeBundles(bundles: readonly ClusterTrustBundle[], selection: TrustBundleSelection) {
  if (bundles.length === 0) throw createNoBundleError(selection);
  const pem = mergeTrustBundles(bundles.map(getTrustBundlePem));
  const { certificates, firstNotAfter } = describeTrustBundle(pem);
  if (certificates === 0) {
    const names = bundles.map((bundle) => `"${getName(bundle)}"`).join(", ");
    throw new AppError("ca_invalid", `there is no certificate in ${names}`, {
      hint: "a bundle consists of PEM blocks of type CERTIFICATE: ask its publisher",
    });
  }
  return { pem, certificates, firstNotAfter };
}

/** Writes the certificates of the bundles to the file if they have changed, and reports whether they have. */
async function writeBundles(
  bundles: readonly ClusterTrustBundle[],
  { selection, path, files, stdout, cwd }: Context,
): Promise<boolean> {
  const { pem, certificates, firstNotAfter } = mergeBundles(bundles, selection);
  if (await files.readText(path) === pem) return false;
  await files.writeAtomic(path, pem, PUBLIC_MODE);
  const expiry = firstNotAfter === undefined ? "" : `, valid until ${formatTime(firstNotAfter)}`;
  const count = certificates === 1 ? "1 certificate" : `${certificates} certificates`;
  stdout.write(line`${displayPath(path, cwd)}: ${count}${expiry}\n`);
  return true;
}

/** Runs the command of `--exec` after a change, and returns the reason if it fails. */
async function runExec(context: Context, signal: AbortSignal): Promise<string | undefined> {
  const { settings: { exec }, path } = context;
  if (exec === undefined) return undefined;
  return await runHookCommand(exec, { TLSBOOT_TRUST_BUNDLE_FILE: path }, context, signal);
}

/**
 * Keeps the file fresh until the signal aborts. Before the API has answered for the first time, a permanent error ends the
 * command. After that, the kubeconfig is read again when its credentials or its CA stop working, and after a disk error.
 */
async function keepBundleFresh(context: Context): Promise<never> {
  const { settings, selection, path: file, logger } = context;
  let unwritten: unknown;
  return await followTrustBundles({
    ...context,
    selectors: toTrustBundleSelectors(selection),
    async connect() {
      const connection = await connect(settings, context);
      return { ...connection.transport, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() };
    },
    async onBundles(bundles, transport, inner) {
      await update(bundles, transport, context, inner).catch((error: unknown) => {
        if (!(error instanceof AppError) || error.code === "io") throw unwritten = error;
        // The next change of the bundles may fix any other error.
        logger.warn(NOT_WRITTEN, { file, error: error.message });
      });
      return "follow";
    },
    onFailure(error, hasAnswered) {
      if (!hasAnswered) throw explainTrustBundleFailure(error);
      if (error === unwritten) logger.warn(NOT_WRITTEN, { file, error: error.message });
      else {
        logger.warn("cannot read the bundles, reading the kubeconfig again", {
          code: error.code,
          error: error.message,
        });
      }
      return undefined;
    },
  }, context.signal);
}

const NOT_WRITTEN = "cannot write the bundle, keeping the file as it is";

/** Writes the file, runs the command of `--exec`, and reports the CAs. */
async function update(
  bundles: readonly ClusterTrustBundle[],
  transport: Transport,
  context: Context,
  signal: AbortSignal,
): Promise<void> {
  const { path: file, hook, logger } = context;
  if (await writeBundles(bundles, context)) {
    const fault = await runExec(context, signal);
    hook.hasFailed = fault !== undefined;
    if (fault !== undefined) logger.error("the bundle is stored, but the command failed", { file, error: fault });
  }
  if (!hook.hasFailed) await report(bundles, transport, context, signal);
}

/** Reports to the cluster that the user of the kubeconfig trusts the CAs in the file, for the census of a CA rotation. */
async function report(
  bundles: readonly ClusterTrustBundle[],
  transport: Transport,
  { clock, logger }: Context,
  signal: AbortSignal,
): Promise<void> {
  if (bundles.some(({ spec }) => spec?.signerName !== KUBE_APISERVER_SERVING_SIGNER)) return;
  const decision = decideTrust("", bundles.map(getTrustBundlePem));
  if (decision.kind !== "changed") return;
  try {
    await reportTrust(transport, decision.fingerprints, { clock }, signal);
  } catch (error) {
    signal.throwIfAborted();
    logger.warn("the file is written, but the cluster did not accept the report", { error: getErrorMessage(error) });
  }
}

const TABLE: OwnTable = {
  columns: [{ name: "Name", minWidth: 20 }, { name: "Signer", minWidth: 12 }, { name: "Certificates" }, {
    name: "Expires",
  }],
  toCells(bundle: ClusterTrustBundle) {
    const { certificates, firstNotAfter } = describeTrustBundle(bundle.spec.trustBundle);
    const expires = firstNotAfter === undefined ? "<unknown>" : formatTime(firstNotAfter);
    return [getName(bundle), bundle.spec.signerName, certificates, expires];
  },
};

export async function runListBundles(
  input: Input<typeof getTrustBundlesCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const names = input.args.map(parseTrustBundleName);
  try {
    return await showObjects({ kind: clusterTrustBundleKind, names, table: TABLE }, input, tools);
  } catch (error) {
    throw explainTrustBundleFailure(error);
  }
}
