/** Creates the requests of signing cases with OpenSSL, and submits and approves them. */
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import type { TempFolder } from "../temp.ts";
import type { ControlPlane } from "./control_plane.ts";
import type { Kubectl } from "./kubectl.ts";
import { openssl } from "./openssl.ts";
import { isRefusedByApi, type KeyName, KEYS, type SigningCase } from "./signing_cases.ts";

/** A case with the name of its CSR and its PKCS#10 in PEM. */
export interface SigningRequest extends SigningCase {
  readonly csr: string;
  readonly pem: string;
}

const CONFIGURATION = `oid_section = oids
[oids]
unknownAttribute = 1.3.9999.1
[names]
[directory]
CN = other
`;

/** Generates all requests, with one key for each algorithm. */
export async function generateRequests(folder: TempFolder, cases: readonly SigningCase[]): Promise<SigningRequest[]> {
  const made: SigningRequest[] = [];
  for (const [index, one] of cases.entries()) {
    const csr = `csr-${index}`;
    const pem = await createSigningRequest(folder, one);
    made.push({ ...one, csr, pem: one.isForged === true ? forge(pem) : pem });
  }
  return made;
}

/** Creates the requests with kubectl and further flags, for example to impersonate a user. */
export async function createRequests(
  kubectl: Kubectl,
  requests: readonly SigningRequest[],
  ...flags: readonly string[]
): Promise<void> {
  const stdin = JSON.stringify({ apiVersion: "v1", kind: "List", items: requests.map(createManifest) });
  await kubectl.create(stdin, ...flags);
}

/** Creates and approves the requests that the API accepts, and writes the others to etcd as approved. */
export async function submitRequests(
  plane: ControlPlane,
  kubectl: Kubectl,
  requests: readonly SigningRequest[],
): Promise<void> {
  const stored = requests.filter(isRefusedByApi);
  const created = requests.filter((one) => !isRefusedByApi(one));
  await createRequests(kubectl, created);
  await kubectl.run("certificate", "approve", ...created.map(({ csr }) => csr));
  for (const one of stored) {
    const key = `/registry/certificatesigningrequests/${one.csr}`;
    await plane.putStored(key, JSON.stringify(toStoredForm(createManifest(one))));
  }
}

type Manifest = ReturnType<typeof createManifest>;

function createManifest({ csr, pem, signerName, usages, expirationSeconds }: SigningRequest) {
  return {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name: csr },
    spec: {
      request: Buffer.from(pem).toString("base64"),
      signerName,
      usages,
      ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
    },
  };
}

function toStoredForm(manifest: Manifest): unknown {
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const times = { lastUpdateTime: now, lastTransitionTime: now };
  return {
    ...manifest,
    metadata: { ...manifest.metadata, uid: crypto.randomUUID(), creationTimestamp: now },
    spec: { ...manifest.spec, username: "alice", groups: ["system:authenticated"] },
    status: { conditions: [{ type: "Approved", status: "True", reason: "Test", message: "stored so", ...times }] },
  };
}

async function createSigningRequest(folder: TempFolder, one: SigningCase): Promise<string> {
  const { subject, key = "p-256", extensions = [], stringMask = "utf8only" } = one;
  const configuration = folder.join("request.cnf");
  const section = extensions.length === 0 ? "" : "req_extensions = extensions\n";
  await writeFile(
    configuration,
    `${CONFIGURATION}[req]\ndistinguished_name = names\nstring_mask = ${stringMask}\n${section}` +
      `[extensions]\n${extensions.join("\n")}\n`,
  );
  return await openssl([
    ...["req", "-new", "-utf8", "-config", configuration, "-key", await createKeyFile(folder, key), "-subj", subject],
  ]);
}

const known = new Map<string, Promise<string>>();

async function createKeyFile(folder: TempFolder, name: KeyName): Promise<string> {
  const path = folder.join(`request-${name}.key`);
  const [algorithm, option] = KEYS[name];
  const options = option === undefined ? [] : ["-pkeyopt", option];
  const made = known.get(path) ?? openssl(["genpkey", "-algorithm", algorithm, ...options, "-out", path]);
  known.set(path, made);
  await made;
  return path;
}

/** Changes a letter of the subject, and keeps the structure and the signature. */
function forge(pem: string): string {
  const der = Buffer.from(pem.split("\n").filter((line) => !line.startsWith("-")).join(""), "base64");
  const at = Math.max(der.indexOf("legacy"), der.indexOf("mike"));
  der.write("x", at, "latin1");
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE REQUEST-----", ...lines, "-----END CERTIFICATE REQUEST-----", ""].join("\n");
}
