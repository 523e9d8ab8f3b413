/**
 * A real Kubernetes control plane on loopback: etcd, kube-apiserver and, when requested, kube-controller-manager with
 * the controllers of certificates and bootstrap tokens. OpenSSL makes its certificates, without code of tlsboot.
 */
import { generateKeyPairSync } from "node:crypto";
import { cp, readFile, writeFile } from "node:fs/promises";
import { peerPath } from "../peers/go.ts";
import { type Child, runProgram, start } from "../child.ts";
import { ask } from "../https_request.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../temp.ts";
import { type Etcd, startEtcd } from "./etcd.ts";
import { createKubectl, formatKubeconfig, type Kubectl } from "./kubectl.ts";

export interface ControlPlane extends AsyncDisposable {
  readonly folder: TempFolder;
  readonly startedAt: Date;
  readonly server: string;
  readonly caPath: string;
  readonly caKeyPath: string;
  /** Flags of commands that sign with the CA. */
  readonly caFlags: readonly string[];
  /** A kubeconfig with a client certificate of the group system:masters. */
  readonly adminKubeconfig: string;
  /** Stock kubectl as this administrator. */
  readonly kubectl: Kubectl;
  /** Writes a kubeconfig with a bearer token of `TOKENS`, and returns its path. */
  kubeconfigWithToken(name: string, token: string): Promise<string>;
  /** Starts kube-controller-manager with these controllers, as administrator. The caller ends it. */
  startControllers(controllers: readonly string[], flags: readonly string[]): Child;
  /** Starts it with the controllers of certificates and bootstrap tokens, which use the CA. The caller ends it. */
  startCertificateControllers(...flags: readonly string[]): Child;
  /** Writes a value directly to etcd, such as an object that the API no longer accepts. */
  putStored(key: string, value: string): Promise<void>;
  apiserverLog(): string;
  /** Returns the pids of the programs that were started with it. */
  pids(): readonly number[];
  /** Returns the same running programs with a copy of the folder. Disposing it removes the copy and ends nothing. */
  withOwnFolder(): Promise<ControlPlane>;
}

/** The user and the group of each bearer token in the token file. */
export const TOKENS = {
  "bootstrap-token": ["kubelet-bootstrap", "system:bootstrappers"],
  "signer-token": ["tlsboot-signer", "tlsboot-signers"],
  "approver-token": ["tlsboot-approver", "tlsboot-approvers"],
  "user-token": ["tokenuser", "tokengroup"],
} as const;

/** An audit policy that logs the metadata of every request. */
export const AUDIT_POLICY = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"Metadata"}]}`;

const CONTROLLERS: readonly string[] = [
  "certificatesigningrequest-approving-controller",
  "certificatesigningrequest-signing-controller",
  "certificatesigningrequest-cleaner-controller",
  "bootstrap-signer-controller",
  "token-cleaner-controller",
];

interface ControlPlaneOptions {
  /** Whether to start kube-controller-manager too. */
  readonly controllers: boolean;
  /** The release whose APIs kube-apiserver serves, such as `1.34`; by default its own. */
  readonly emulatedVersion?: string;
  /** An etcd that the caller owns; by default it starts one. */
  readonly etcd?: Etcd;
  /** A control plane on the same etcd whose CA, certificates, keys and tokens it copies; by default it makes its own. */
  readonly sharedWith?: ControlPlane;
  /** Additional flags of kube-controller-manager when it starts. */
  readonly controllerFlags?: readonly string[];
  /** Returns additional flags of kube-apiserver, and may put files into its folder. */
  readonly apiserverFlags?: (folder: TempFolder, server: string) => Promise<readonly string[]>;
}

/** Starts a control plane and waits until it is ready. */
export async function startControlPlane(options: ControlPlaneOptions = { controllers: true }): Promise<ControlPlane> {
  const folder = await createTempFolder();
  const startedAt = new Date();
  const started: (Child | Etcd)[] = [];
  const stop = async () => {
    for (const running of started.reverse()) await running[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  try {
    await (options.sharedWith === undefined
      ? writePki(folder)
      : cp(options.sharedWith.folder.path, folder.path, { recursive: true }));
    const etcd = options.etcd ?? await startEtcd();
    if (options.etcd === undefined) started.push(etcd);
    const port = await findServerPort();
    const server = `https://127.0.0.1:${port}`;
    const apiserver = start(peerPath("kube-apiserver"), [
      `--etcd-servers=${etcd.urls.join(",")}`,
      `--secure-port=${port}`,
      "--bind-address=127.0.0.1",
      "--advertise-address=127.0.0.1",
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--enable-bootstrap-token-auth",
      `--token-auth-file=${folder.join("tokens.csv")}`,
      `--client-ca-file=${folder.join("ca.crt")}`,
      `--tls-cert-file=${folder.join("server.crt")}`,
      `--tls-private-key-file=${folder.join("server.key")}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${folder.join("sa.pub")}`,
      `--service-account-signing-key-file=${folder.join("sa.key")}`,
      "--service-cluster-ip-range=10.0.0.0/24",
      "--endpoint-reconciler-type=none",
      ...(options.emulatedVersion === undefined ? [] : [`--emulated-version=kube=${options.emulatedVersion}`]),
      ...(await options.apiserverFlags?.(folder, server) ?? []),
    ]);
    started.push(apiserver);
    await writeKubeconfig(folder, server, "admin", { certificate: "admin" });
    await waitReady(server, folder, apiserver);
    const inFolder = (own: TempFolder, dispose: () => Promise<void>): ControlPlane => ({
      folder: own,
      startedAt,
      server,
      caPath: own.join("ca.crt"),
      caKeyPath: own.join("ca.key"),
      caFlags: [
        `--cluster-signing-cert-file=${own.join("ca.crt")}`,
        `--cluster-signing-key-file=${own.join("ca.key")}`,
      ],
      adminKubeconfig: own.join("admin.kubeconfig"),
      kubectl: createKubectl(own, own.join("admin.kubeconfig")),
      kubeconfigWithToken: (name, token) => writeKubeconfig(own, server, name, { token }),
      startControllers: (controllers, flags) =>
        startControllerManager(own.join("admin.kubeconfig"), controllers, [
          ...[`--service-account-private-key-file=${own.join("sa.key")}`, "--use-service-account-credentials=true"],
          ...flags,
        ]),
      startCertificateControllers(...flags) {
        return this.startControllers(CONTROLLERS, [...this.caFlags, ...flags]);
      },
      putStored: (key, value) => etcd.members[0]!.put(key, value),
      apiserverLog: () => apiserver.stderr(),
      pids: () => started.flatMap((one) => "pids" in one ? one.pids() : [one.pid]),
      async withOwnFolder() {
        const copy = await createTempFolder();
        await cp(folder.path, copy.path, { recursive: true });
        await writeKubeconfig(copy, server, "admin", { certificate: "admin" });
        return inFolder(copy, async () => await copy[Symbol.asyncDispose]());
      },
      [Symbol.asyncDispose]: dispose,
    });
    const plane = inFolder(folder, stop);
    if (options.controllers) started.push(plane.startCertificateControllers(...options.controllerFlags ?? []));
    return plane;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts kube-controller-manager with these controllers. The caller ends it. */
export function startControllerManager(
  kubeconfig: string,
  controllers: readonly string[],
  flags: readonly string[],
): Child {
  const alone = ["--leader-elect=false", "--secure-port=0"];
  return start(peerPath("kube-controller-manager"), [
    ...[`--kubeconfig=${kubeconfig}`, `--controllers=${controllers.join(",")}`, ...alone, ...flags],
  ]);
}

const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

async function openssl(folder: TempFolder, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram("openssl", args, { cwd: folder.path });
  if (code !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr}`);
}

/** Creates `<name>.key` and `<name>.crt` with the CA and a file of extensions in the folder of a control plane. */
export async function writeCertificate(
  folder: TempFolder,
  name: string,
  subject: string,
  extensions = "client.ext",
): Promise<void> {
  await openssl(folder, "req", ...CURVE, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject);
  await openssl(
    folder,
    ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"],
    ...["-out", `${name}.crt`, "-days", "20", "-extfile", extensions],
  );
}

async function writePki(folder: TempFolder): Promise<void> {
  await openssl(
    folder,
    ...["req", "-x509", ...CURVE, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=kubernetes", "-days", "30"],
    ...["-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"],
  );
  await writeFile(
    folder.join("server.ext"),
    "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
  );
  await writeFile(folder.join("client.ext"), "extendedKeyUsage=clientAuth\n");
  await writeCertificate(folder, "server", "/CN=kube-apiserver", "server.ext");
  await writeCertificate(folder, "admin", "/O=system:masters/CN=admin");
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  await writeFile(folder.join("sa.key"), privateKey.export({ type: "pkcs1", format: "pem" }), { mode: 0o600 });
  await writeFile(folder.join("sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
  const lines = Object.entries(TOKENS).map(([token, [user, group]], index) =>
    `${token},${user},${index + 1},"${group}"`
  );
  await writeFile(folder.join("tokens.csv"), `${lines.join("\n")}\n`);
}

async function writeKubeconfig(
  folder: TempFolder,
  server: string,
  name: string,
  credential: { readonly token: string } | { readonly certificate: string },
): Promise<string> {
  const path = folder.join(`${name}.kubeconfig`);
  const user = "token" in credential ? { token: credential.token } : {
    "client-certificate": folder.join(`${credential.certificate}.crt`),
    "client-key": folder.join(`${credential.certificate}.key`),
  };
  const cluster = { server, "certificate-authority": folder.join("ca.crt") };
  await writeFile(path, formatKubeconfig(cluster, user, name), { mode: 0o600 });
  return path;
}

/** Waits until kube-apiserver is ready and has created `default`, the last of its namespaces. */
async function waitReady(server: string, folder: TempFolder, apiserver: Child): Promise<void> {
  const [ca, cert, key] = await Promise.all(
    ["ca.crt", "admin.crt", "admin.key"].map((name) => readFile(folder.join(name), "utf8")),
  );
  const deadline = Date.now() + 180_000;
  for (const path of ["/readyz", "/api/v1/namespaces/default"]) {
    for (;;) {
      const { code } = await ask({ port: new URL(server).port, path, ca, cert, key }).catch(() => ({ code: 0 }));
      if (code === 200) break;
      if (apiserver.hasEnded() || Date.now() > deadline) {
        throw new Error(`kube-apiserver is not ready\n${apiserver.stderr().slice(-4000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
