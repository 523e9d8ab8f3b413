/** Checks the flags and the input of a ceremony before anything is written. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { parseVerifiedRequest } from "../../../core/csr/request.ts";
import { readChain } from "../../authority/files.ts";
import type { CaKeys } from "../../authority/keys.ts";
import type { AuthorityPaths } from "../../authority/layout.ts";
import type { ShareCounts } from "../../authority/share_pages.ts";
import type { Input } from "../../framework/command.ts";
import { flagName } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import type { CaCeremonyFlags } from "./ceremony_flags.ts";
import { readShareCounts } from "./shares.ts";

/** The parts that a ceremony makes, from its flags and its input. */
export interface CeremonyPlan {
  /** The root of an earlier ceremony; undefined when a root is made. */
  readonly root: AuthorityPaths | undefined;
  readonly shares: ShareCounts | undefined;
  /** The request for the intermediate CA; undefined when its key is made here. */
  readonly csr: CaRequestFacts | undefined;
  /** The common name of the intermediate CA. */
  readonly name: string;
  readonly lifetimeMs: number;
  /** The settings by their flags, which must be the same when an interrupted ceremony continues. */
  readonly facts: Readonly<Record<string, string>>;
}

/** The request for an intermediate CA. */
export interface CaRequestFacts {
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
  readonly commonName: string;
  /** The hash of the request's DER, in hexadecimal. */
  readonly sha256: string;
}

type Settings = Input<CaCeremonyFlags>["settings"];

const MIN_LIFETIME_MS = 24 * 3_600_000;
const ROOT_SETTINGS = ["rootName", "rootDuration", "permitDns", "permitIp", "shares", "threshold"] as const;

/** Plans a ceremony. Throws UsageError for flags that contradict each other, and AppError for input that cannot be used. */
export async function planCeremony(
  settings: Settings,
  origins: Readonly<Record<string, string>>,
  keys: CaKeys,
  files: FilePort,
  io: Pick<Io, "cwd" | "clock">,
): Promise<CeremonyPlan> {
  const { rootName, rootDuration, intermediateDuration, intermediateCsr, intermediatePassphraseFile } = settings;
  if (rootName === "") throw new UsageError("--root-name must not be empty");
  if (rootDuration < MIN_LIFETIME_MS) throw new UsageError("--root-duration must be at least 24h");
  if (intermediateDuration < MIN_LIFETIME_MS) throw new UsageError("--intermediate-duration must be at least 24h");
  if (intermediateCsr !== undefined && intermediatePassphraseFile !== undefined) {
    throw new UsageError(
      "--intermediate-passphrase-file is for a key that is made here, and --intermediate-csr brings one",
      "leave one of them out",
    );
  }
  const root = findEarlierRoot(settings, origins, keys);
  const shares = settings.shares === undefined && settings.threshold === undefined
    ? undefined
    : readShareCounts(settings);
  if (shares !== undefined && keys.hasProgram) {
    throw new UsageError("--shares is for a key file, and --signing-key-command needs none", "leave one of them out");
  }
  const csr = intermediateCsr === undefined ? undefined : await readCaRequest(intermediateCsr, files, io.cwd);
  const name = settings.intermediateName ?? csr?.commonName ?? `tlsboot-ca-${formatTime(io.clock.now()).slice(0, 10)}`;
  if (name === "") {
    throw new UsageError("the intermediate CA needs a name", "give one with --intermediate-name");
  }
  const rootPaths = root === undefined
    ? undefined
    : { certificate: resolve(io.cwd, root.certificate), key: resolve(io.cwd, root.key) };
  const facts = {
    ...(rootPaths === undefined
      ? {
        "--root-name": rootName,
        "--root-duration": `${rootDuration / 3_600_000}h`,
        "--permit-dns": settings.permitDns.join(","),
        "--permit-ip": settings.permitIp.join(","),
        "--shares": String(shares?.count ?? ""),
        "--threshold": String(shares?.threshold ?? ""),
      }
      : { "--root-cert": (await readChain(rootPaths, files)).certificate.sha256Fingerprint }),
    "--key-algorithm": settings.keyAlgorithm,
    "--intermediate-name": name,
    "--intermediate-duration": `${intermediateDuration / 3_600_000}h`,
    "--intermediate-csr": csr?.sha256 ?? "",
  };
  return { root: rootPaths, shares, csr, name, lifetimeMs: intermediateDuration, facts };
}

function findEarlierRoot(
  settings: Settings,
  origins: Readonly<Record<string, string>>,
  keys: CaKeys,
): AuthorityPaths | undefined {
  const { rootCert, rootKey } = settings;
  if (rootCert === undefined && rootKey === undefined) return undefined;
  if (rootCert === undefined || (rootKey === undefined && !keys.hasProgram)) {
    throw new UsageError("--root-cert and --root-key go together", "give both, or neither for a new root");
  }
  if (rootKey !== undefined && keys.hasProgram) {
    throw new UsageError("--root-key and --signing-key-command both name the key", "give one of them");
  }
  const foreign = ROOT_SETTINGS.find((key) => origins[key] !== "default");
  if (foreign !== undefined) {
    throw new UsageError(
      `--${flagName(foreign)} is for a new root, and --root-cert names one that exists`,
      "leave one of them out",
    );
  }
  return { certificate: rootCert, key: rootKey ?? "" };
}

/** Reads the request of an online server, and checks that it was signed by its own key. */
async function readCaRequest(file: string, files: FilePort, cwd: string): Promise<CaRequestFacts> {
  const text = await files.readText(resolve(cwd, file));
  if (text === undefined) {
    throw new AppError("not_found", `cannot read request "${file}": file does not exist`, {
      hint: "check the path of --intermediate-csr; the online server makes one with: tlsboot ca request --out FILE",
    });
  }
  const request = parseVerifiedRequest(Buffer.from(text).toString("base64"));
  if (!request.ok) {
    throw new AppError("invalid", `cannot use request "${file}": ${request.error}`, {
      hint: "the online server makes one with: tlsboot ca request --out FILE",
    });
  }
  const { publicKeyDer, subject: { commonName }, publicKey, der } = request.value;
  if (publicKey.weakness !== undefined) {
    throw new AppError("invalid", `cannot use request "${file}": ${publicKey.weakness}`, {
      hint: "make a request with a stronger key",
    });
  }
  return { publicKeyDer, commonName, sha256: createHash("sha256").update(der).digest("hex") };
}
