/** A TLS scanner at the port of `tlsboot up` reports only the findings that are listed here with a reason. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { start } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";
import { CA_EXTENSIONS, makeCertificate } from "../support/interop/openssl.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";

/** One entry of the scanner's report. */
interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

const SERIOUS: readonly string[] = ["MEDIUM", "HIGH", "CRITICAL", "FATAL"];

/** Accepted serious findings, each with its reason. */
const ACCEPTED: Readonly<Record<string, string>> = {
  cert_revocation:
    "an instance's own CA publishes no CRL and answers no OCSP: an air-gapped client could reach neither",
};

/** Findings that are required, by the scanner's names. */
const REQUIRED: Readonly<Record<string, RegExp>> = {
  SSLv2: /not offered/,
  SSLv3: /not offered/,
  TLS1: /not offered/,
  TLS1_1: /not offered/,
  TLS1_2: /offered/,
  TLS1_3: /offered/,
  ALPN_HTTP2: /^h2$/,
  PFS: /offered/,
  secure_renego: /supported/,
  secure_client_renego: /not vulnerable/,
  CRIME_TLS: /not vulnerable/,
  heartbleed: /not vulnerable/,
  CCS: /not vulnerable/,
  ticketbleed: /not vulnerable|no session ticket/i,
  SWEET32: /not vulnerable/,
  LUCKY13: /not vulnerable/,
  RC4: /not vulnerable/,
  LOGJAM: /not vulnerable/,
  FREAK: /not vulnerable/,
  DROWN: /not vulnerable/,
};

/**
 * Timeouts and attempts of the scanner for a busy machine: by default it gives up after a few seconds and reports a
 * missing answer as a finding.
 */
const SCANNER_LIMITS: Readonly<Record<string, string>> = {
  MAX_WAITSOCK: "120",
  CCS_MAX_WAITSOCK: "120",
  HEARTBLEED_MAX_WAITSOCK: "120",
  MAX_SOCKET_FAIL: "20",
  MAX_OSSL_FAIL: "20",
};

interface ScannedInstance extends AsyncDisposable {
  readonly instance: RunningInstance;
  /** The path of the CA of its serving certificate. */
  readonly caPath: string;
}

/** Starts an instance with its default keys, on P-256. */
async function startEllipticInstance(): Promise<ScannedInstance> {
  const instance = await startInstance();
  return { instance, caPath: instance.caPath, [Symbol.asyncDispose]: () => instance[Symbol.asyncDispose]() };
}

/** Starts an instance with an imported RSA certificate, below an RSA CA. */
async function startRsaInstance(): Promise<ScannedInstance> {
  const folder = await createTempFolder();
  const key = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
  await makeCertificate(folder, { name: "ca", extensions: CA_EXTENSIONS, key, days: 365 });
  const extensions = [
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "authorityKeyIdentifier=keyid",
  ];
  await makeCertificate(folder, { name: "serving", issuer: "ca", extensions, key, days: 365 });
  const args = ["--tls-cert-file", folder.join("serving.crt"), "--tls-private-key-file", folder.join("serving.key")];
  const instance = await startInstance({ args });
  const dispose = async (): Promise<void> => {
    await instance[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  return { instance, caPath: folder.join("ca.crt"), [Symbol.asyncDispose]: dispose };
}

test("testssl.sh finds nothing serious at the port of tlsboot up, with EC and RSA keys", async () => {
  // The scans run one after the other: a scanner that waits for the processor misses answers and reports other
  // findings.
  for (const startScanned of [startEllipticInstance, startRsaInstance]) {
    await using scanned = await startScanned();
    assertFindings(await scan(scanned));
  }
});

async function scan({ instance, caPath }: ScannedInstance): Promise<readonly Finding[]> {
  const report = instance.folder.join("scan.json");
  await using running = start("testssl", [
    "--quiet",
    ...["--color", "0"],
    ...["--warnings", "off"],
    ...["--jsonfile", report],
    ...["--add-ca", caPath],
    // Protocols, suites, forward secrecy, the server's preferences and defaults, known vulnerabilities.
    ...["-p", "-s", "-f", "-P", "-S", "-U"],
    instance.server,
  ], { env: SCANNER_LIMITS });
  const { stdout } = await running.finished();
  const findings = JSON.parse(await readFile(report, "utf8")) as readonly Finding[];
  assert.ok(findings.length > 50, stdout);
  return findings;
}

function assertFindings(findings: readonly Finding[]): void {
  const found = new Map(findings.map(({ id, finding }) => [id, finding]));
  for (const [id, want] of Object.entries(REQUIRED)) assert.match(found.get(id) ?? "nothing", want, id);
  const serious = findings.filter(({ severity }) => SERIOUS.includes(severity));
  assert.deepEqual(
    serious.filter(({ id }) => ACCEPTED[id] === undefined),
    [],
    "a new finding must be fixed, or listed with its reason",
  );
  // A listed finding that no longer occurs must be removed from the list.
  assert.deepEqual(serious.map(({ id }) => id).sort(), Object.keys(ACCEPTED));
}
