/** Makes a root CA, an intermediate CA and a protocol, in steps that an interrupted run continues. */
import { dirname, join, resolve } from "node:path";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { type Authority, issueIntermediate } from "../../../core/pki/authority.ts";
import { encodeTrust, parseAuthorityChain } from "../../../core/pki/authority_chain.ts";
import type { CertificateFacts } from "../../../core/pki/certificate.ts";
import { verifyChain } from "../../../core/pki/chain.ts";
import { SERIAL_BYTES } from "../../../core/pki/issue.ts";
import { checkRuntimeHas, publicKeysEqual } from "../../../core/pki/keys.ts";
import { NO_SUBTREES } from "../../../core/pki/name_constraints.ts";
import { formatName } from "../../../core/pki/names.ts";
import { BACKDATE_MS } from "../../../core/signing/plan.ts";
import { type AuthorityDeps, createAuthorityFiles, ensureKey, readAuthority } from "../../authority/files.ts";
import { type CaKeys, createCaKeys } from "../../authority/keys.ts";
import type { AuthorityPaths } from "../../authority/layout.ts";
import { createPassphrases } from "../../authority/passphrase.ts";
import { findSharePages, getSharePaths, prepareShares } from "../../authority/share_pages.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { FOLDER_MODE, PUBLIC_MODE } from "../../instance/data_dir.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../output/escape.ts";
import { renderPageHtml, renderPageText } from "../../output/page.ts";
import type { CaCeremonyFlags } from "./ceremony_flags.ts";
import { type CeremonyPlan, planCeremony } from "./ceremony_plan.ts";
import { describeCeremony } from "./ceremony_protocol.ts";
import { type CeremonyLog, openCeremonyLog } from "./ceremony_record.ts";

/** The files of a ceremony. */
interface CeremonyPaths {
  readonly root: AuthorityPaths;
  readonly shares: string;
  readonly online: AuthorityPaths;
  readonly text: string;
  readonly html: string;
}

/** What the steps of one run use. */
interface Ceremony {
  readonly plan: CeremonyPlan;
  readonly paths: CeremonyPaths;
  readonly log: CeremonyLog;
  readonly deps: Omit<AuthorityDeps, "keys">;
  readonly io: Io;
  readonly signal: AbortSignal;
  readonly settings: Input<CaCeremonyFlags>["settings"];
  /** The access to the key of the intermediate CA, whose passphrase is prompted for once in a run. */
  readonly onlineKeys: CaKeys;
}

/** The action of the command `tlsboot ca ceremony`. */
export async function run(
  { settings, origins }: Input<CaCeremonyFlags>,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const files = createFilePort();
  checkRuntimeHas(settings.keyAlgorithm);
  const keys = createCaKeys(settings, io, files, signal);
  const plan = await planCeremony(settings, origins, keys, files, io);
  const folder = resolve(io.cwd, settings.out ?? "");
  const paths = getPaths(folder, plan);
  const log = await openCeremonyLog(folder, plan.facts, settings.present, files, io);
  const deps = { files, clock: io.clock, random: io.random };
  const name = log.record.settings["--intermediate-name"] ?? plan.name;
  const onlineKeys = createOnlineKeys(settings, io, files, signal);
  const ceremony = { plan: { ...plan, name }, paths, log, deps, io, signal, settings, onlineKeys };

  if (await files.lstat(paths.text) === undefined) {
    const [root, rootKeys] = await makeRoot(ceremony, keys);
    const intermediate = await makeIntermediate(ceremony, root);
    await check(ceremony, root.certificate, intermediate, rootKeys === keys ? keys : openWithLastShares(ceremony));
    const page = describeCeremony(log.record, {
      root: root.certificate,
      intermediate,
      isNewRoot: plan.root === undefined,
      shares: plan.shares,
      hasOnlineKey: plan.csr === undefined,
      hasProgram: keys.hasProgram,
    });
    // The text is last: when it is there, the ceremony is complete.
    await files.writeAtomic(paths.html, renderPageHtml(page), PUBLIC_MODE);
    await files.createExclusive(paths.text, renderPageText(page), PUBLIC_MODE);
  } else io.stderr.write(line`The ceremony in ${settings.out ?? ""} is complete; nothing was changed.\n`);
  printPaths(ceremony, keys.hasProgram);
  return EXIT.done;
}

function getPaths(folder: string, { root }: CeremonyPlan): CeremonyPaths {
  return {
    root: root ?? { certificate: join(folder, "root", "root.crt"), key: join(folder, "root", "root.key") },
    shares: join(folder, "shares"),
    online: { certificate: join(folder, "online", "ca.crt"), key: join(folder, "online", "ca.key") },
    text: join(folder, "protocol.txt"),
    html: join(folder, "protocol.html"),
  };
}

/** Makes the root, or opens it when it exists; also returns the access to its key. */
async function makeRoot(ceremony: Ceremony, given: CaKeys): Promise<readonly [Authority, CaKeys]> {
  const { plan, paths, log, deps, io, signal, settings } = ceremony;
  const { files } = deps;
  if (plan.root !== undefined) {
    const root = await readAuthority(plan.root, files, given);
    await log.addStep(
      "root",
      `The root CA "${formatName(root.certificate.subject)}" of an earlier ceremony was opened.`,
    );
    return [root, given];
  }
  let keys = given;
  if (plan.shares !== undefined) {
    const keyName = `the root CA "${settings.rootName}"`;
    const isDone = await files.lstat(paths.root.certificate) !== undefined;
    // The holders may have taken their shares already; they give them to continue.
    if (given.passphrases.isGiven && !isDone) {
      throw new UsageError(
        "--shares makes a random passphrase",
        "leave out --ca-passphrase-file and --ca-passphrase-share, which continue a ceremony whose shares were taken away",
      );
    }
    const to = { folder: paths.shares, keyPath: paths.root.key, keyName, ...plan.shares };
    const shareDeps = { files, random: deps.random, io };
    // The holders may have taken their shares already; then they are asked for, or given with flags.
    const shares = !isDone
      ? await prepareShares(to, shareDeps)
      : given.passphrases.isGiven
      ? undefined
      : await findSharePages(paths.shares, plan.shares, shareDeps).catch(() => undefined);
    if (shares !== undefined) {
      const needed = shares.slice(0, plan.shares.threshold);
      keys = createCaKeys({ ...settings, caPassphraseShare: needed }, io, files, signal);
    }
    const { threshold, count } = plan.shares;
    await log.addStep(
      "shares",
      `A random passphrase was made and split into ${count} shares, of which ${threshold} open the key of the root CA. ` +
        "The passphrase was not displayed or stored.",
    );
  }
  if (await files.lstat(paths.root.certificate) !== undefined) {
    return [await readAuthority(paths.root, files, keys), keys];
  }
  if (plan.shares === undefined && !keys.hasProgram) io.stderr.write("The key of the root CA is encrypted.\n");
  const { permitDns, permitIp, rootName, rootDuration, keyAlgorithm } = settings;
  const isLimited = permitDns.length + permitIp.length > 0;
  const permitted = { ...NO_SUBTREES, dnsNames: permitDns, ipRanges: permitIp };
  const root = await createAuthorityFiles(paths.root, {
    commonName: rootName,
    lifetimeMs: rootDuration,
    keyAlgorithm,
    isEncrypted: true,
    ...(isLimited ? { nameConstraints: { permitted, excluded: NO_SUBTREES } } : {}),
  }, { ...deps, keys });
  const held = keys.hasProgram ? "the key is held by a program" : "the key was made and encrypted";
  await log.addStep(
    "root",
    `The root CA "${formatName(root.certificate.subject)}" was made: ${held}, and its certificate signed.`,
  );
  return [root, keys];
}

/** Signs the intermediate CA, or reads the one that an interrupted run signed. */
async function makeIntermediate(ceremony: Ceremony, root: Authority): Promise<CertificateFacts> {
  const { plan, paths, log, deps } = ceremony;
  const { files, clock, random } = deps;
  const publicKeyDer = plan.csr?.publicKeyDer ?? await makeOnlineKey(ceremony);
  const existing = await files.readText(paths.online.certificate);
  if (existing !== undefined) return readSignedChain(existing, paths.online.certificate, publicKeyDer);
  const now = clock.now().getTime();
  const notAfter = new Date(now + plan.lifetimeMs);
  if (notAfter > root.certificate.notAfter) {
    throw new AppError(
      "invalid",
      `cannot sign the intermediate CA: it would end at ${formatTime(notAfter)}, after the root CA, which ends at ` +
        formatTime(root.certificate.notAfter),
      { hint: "give a shorter --intermediate-duration, or make a new root CA" },
    );
  }
  const intermediate = await issueIntermediate({
    commonName: plan.name,
    publicKeyDer,
    notBefore: new Date(Math.max(now - BACKDATE_MS, root.certificate.notBefore.getTime())),
    notAfter,
    serial: random.bytes(SERIAL_BYTES),
  }, root);
  await files.makeDirectory(dirname(paths.online.certificate), FOLDER_MODE);
  const chain = encodeTrust({ certificate: intermediate, issuers: [root.certificate] });
  await files.createExclusive(paths.online.certificate, chain, PUBLIC_MODE);
  const whose = plan.csr === undefined
    ? "for a key that was made and encrypted here"
    : `for the request with the SHA-256 ${plan.csr.sha256}, whose key is at the online server`;
  await log.addStep("intermediate", `The intermediate CA "${formatName(intermediate.subject)}" was signed ${whose}.`);
  return intermediate;
}

function readSignedChain(pem: string, path: string, publicKeyDer: Uint8Array<ArrayBuffer>): CertificateFacts {
  const chain = parseAuthorityChain(pem);
  const fault = !chain.ok
    ? chain.error
    : publicKeysEqual(chain.value.certificate.publicKeyDer, publicKeyDer)
    ? undefined
    : "its key is another one";
  if (chain.ok && fault === undefined) return chain.value.certificate;
  throw new AppError("ca_invalid", `cannot continue the ceremony: "${path}" is not what it wrote: ${fault}`, {
    hint: "begin another ceremony in another folder",
  });
}

async function makeOnlineKey(ceremony: Ceremony): Promise<Uint8Array<ArrayBuffer>> {
  const { paths, deps, settings, log, io, onlineKeys } = ceremony;
  const isNew = await deps.files.lstat(paths.online.key) === undefined;
  if (isNew) io.stderr.write("The key of the intermediate CA is encrypted with a passphrase of its own.\n");
  const key = await ensureKey(paths.online.key, { keyAlgorithm: settings.keyAlgorithm, isEncrypted: true }, {
    ...deps,
    keys: onlineKeys,
  });
  await log.addStep("online-key", "The key of the intermediate CA was made and encrypted.");
  return key.publicKeyDer();
}

function createOnlineKeys(
  { intermediatePassphraseFile }: Ceremony["settings"],
  io: Io,
  files: FilePort,
  signal: AbortSignal,
): CaKeys {
  const words = { what: "key of the intermediate CA", flag: "--intermediate-passphrase-file" };
  const keys = createCaKeys({ caPassphraseFile: undefined, signingKeyCommand: undefined }, io, files, signal);
  return { ...keys, passphrases: createPassphrases(intermediatePassphraseFile, io, files, signal, words) };
}

/** Opens the key of the root with other shares than those that made it, as far as there are others. */
function openWithLastShares({ plan, paths, settings, io, deps, signal }: Ceremony): CaKeys {
  const { threshold = 0, count = 0 } = plan.shares ?? {};
  const shares = getSharePaths(paths.shares, count).slice(-threshold);
  return createCaKeys({ ...settings, caPassphraseShare: shares }, io, deps.files, signal);
}

/** Reads everything back from the files. */
async function check(
  { plan, paths, log, deps, io }: Ceremony,
  root: CertificateFacts,
  intermediate: CertificateFacts,
  rootKeys: CaKeys,
): Promise<void> {
  const verified = verifyChain(intermediate, [], [root], { at: io.clock.now() });
  if (!verified.ok) throw new AppError("ca_invalid", `cannot use the new chain: ${verified.error}`);
  if (plan.root === undefined) await readAuthority(paths.root, deps.files, rootKeys);
  await log.addStep(
    "check",
    "The files were read back: the chain is valid, and the key of the root CA opens and belongs to its certificate.",
  );
}

function printPaths({ plan, paths, io }: Ceremony, hasProgram: boolean): void {
  const shown = (path: string) => displayPath(path, io.cwd);
  const rows = [
    ...(plan.root === undefined ? [["root", paths.root.certificate]] : []),
    ...(plan.root === undefined && !hasProgram ? [["root key", paths.root.key]] : []),
    ...(plan.shares === undefined ? [] : getSharePaths(paths.shares, plan.shares.count).map((path) => ["share", path])),
    ["chain for the server", paths.online.certificate],
    ...(plan.csr === undefined ? [["key for the server", paths.online.key]] : []),
    ["protocol", paths.text],
    ["protocol", paths.html],
  ];
  for (const [name = "", path = ""] of rows) io.stdout.write(line`${name}: ${shown(path)}\n`);
  io.stderr.write(
    line`Print ${shown(paths.html)} and sign it. On the server: tlsboot ca import --ca-cert ca.crt` +
      `${plan.csr === undefined ? " --ca-key ca.key" : ""}\n`,
  );
}
