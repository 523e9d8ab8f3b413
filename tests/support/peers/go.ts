/**
 * Builds the Go programs that the suites run, such as Kubernetes, etcd and zlint, once for each machine. A missing Go
 * toolchain is an error, never a reason to skip tests.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { cacheDir, mustRun, run } from "../../../scripts/processes.ts";

/** The release of the Kubernetes peers. */
export const KUBERNETES = "v1.37.2";
/** The oldest release whose kubectl, kubelet and client-go the suite runs against tlsboot. */
const OLDEST_KUBERNETES = "v1.34.4";
/** The releases of kubectl, kubelet and client-go's certificate manager, the newest first. */
export const KUBERNETES_RELEASES = [KUBERNETES, OLDEST_KUBERNETES] as const;
/** The version of etcd below the API server. */
export const ETCD = "v3.7.3";
/** The oldest supported version of etcd. */
const OLDEST_ETCD = "v3.5.35";
/** The newest version of etcd that tlsboot refuses. */
const REFUSED_ETCD = "v3.5.12";
/** The signer over HTTP that the benchmarks compare with. */
export const CFSSL = "v1.6.5";
const HELM = "v4.3.1";
const JSONNET = "v0.22.0";
const ZLINT = "v3.7.3";
const ACTIONLINT = "v1.7.12";

interface Peer {
  readonly name: string;
  /** The folder of its Go module below tests/interop/peers. */
  readonly module: string;
  readonly target: string;
  readonly version: string;
  /** The module file, if it is not `go.mod`. */
  readonly moduleFile?: string;
  /** How to build it: `test` compiles the tests of a package. */
  readonly build: "build" | "test";
  /** Its only user, if not the interoperability suite: the benchmarks or `deno task programs`. */
  readonly use?: "bench" | "programs";
  /** The release of Kubernetes that it reports. */
  readonly release?: string;
  /** Whether it needs cgo, because its sources include C. */
  readonly needsC?: boolean;
}

const kubernetes = (name: string, target: string, release = KUBERNETES): Peer => ({
  name,
  module: "kubernetes",
  target,
  version: release,
  release,
  build: "build",
  ...(release === OLDEST_KUBERNETES ? { moduleFile: "1.34.mod" } : {}),
});

/** A third-party program, in a separate module. */
function program(name: string, target: string, version: string, release?: string): Peer {
  const rest = release === undefined ? {} : { release };
  return { name, module: name, target, version, build: "build", use: "programs", ...rest };
}

const PEERS: readonly Peer[] = [
  { name: "etcd", module: "etcd", target: "go.etcd.io/etcd/server/v3", version: ETCD, build: "build" },
  {
    name: "etcd-3.5",
    module: "etcd-3.5",
    target: "go.etcd.io/etcd/server/v3",
    version: OLDEST_ETCD,
    build: "build",
  },
  {
    name: "etcd-3.5.12",
    module: "etcd-3.5.12",
    target: "go.etcd.io/etcd/server/v3",
    version: REFUSED_ETCD,
    build: "build",
  },
  { name: "zlint", module: "zlint", target: "github.com/zmap/zlint/v3/cmd/zlint", version: ZLINT, build: "build" },
  {
    name: "actionlint",
    module: "actionlint",
    target: "github.com/rhysd/actionlint/cmd/actionlint",
    version: ACTIONLINT,
    build: "build",
  },
  { name: "tpm-peer", module: "tpm", target: "./peer", version: "v1", build: "build" },
  { name: "history-check", module: "history", target: "./check", version: "v1", build: "build" },
  ...["jsonnet", "jsonnetfmt"].map((name): Peer => (
    { name, module: "mixin", target: `github.com/google/go-jsonnet/cmd/${name}`, version: JSONNET, build: "build" }
  )),
  { name: "dashboard", module: "mixin", target: "./dashboard", version: JSONNET, build: "build" },
  kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
  kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
  kubernetes("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
  kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
  kubernetes("kubeadm", "k8s.io/kubernetes/cmd/kubeadm"),
  kubernetes("certmanager", "./cmd/certmanager"),
  kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl", OLDEST_KUBERNETES),
  kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet", OLDEST_KUBERNETES),
  kubernetes("certmanager", "./cmd/certmanager", OLDEST_KUBERNETES),
  kubernetes("load", "./cmd/load"),
  kubernetes("soak", "./cmd/soak"),
  kubernetes("chainjudge", "./cmd/chainjudge"),
  kubernetes("proxychoice", "./cmd/proxychoice"),
  kubernetes("valuejudge", "./cmd/valuejudge"),
  kubernetes("promcheck", "./cmd/promcheck"),
  kubernetes("criserver", "./cmd/criserver"),
  kubernetes("podcertificates", "./cmd/podcertificates"),
  { ...kubernetes("e2e.test", "k8s.io/kubernetes/test/e2e"), build: "test" },
  {
    name: "cfssl",
    module: "cfssl",
    target: "github.com/cloudflare/cfssl/cmd/cfssl",
    version: CFSSL,
    build: "build",
    use: "bench",
    needsC: true,
  },
  program("kubectl-1.27", ".", "v0.27.3", "v1.27.3"),
  program("kubectl-1.32", ".", "v0.32.3", "v1.32.3"),
  program("helm-3", "helm.sh/helm/v3/cmd/helm", "v3.22.0"),
  program("helm-4", "helm.sh/helm/v4/cmd/helm", HELM),
  { name: "helm-render", module: "helm-4", target: "./render", version: HELM, build: "build", use: "programs" },
  program("service-monitor", "./judge", "v0.95.2"),
  program("kwok", "sigs.k8s.io/kwok/cmd/kwok", "v0.8.0"),
  program("kube-state-metrics", "k8s.io/kube-state-metrics/v2", "v2.15.0"),
  program("kubectl-who-can", "github.com/aquasecurity/kubectl-who-can/cmd/kubectl-who-can", "v0.4.0"),
];

/** Reports whether a program is built here. */
export function isPeer(name: string): boolean {
  return PEERS.some((peer) => peer.name === name);
}

/** Returns the path of a peer's executable, by default in the newest version. */
export function peerPath(name: string, version?: string): string {
  const peer = PEERS.find((one) => one.name === name && (version === undefined || one.version === version));
  if (peer === undefined) throw new Error(`no peer is called ${[name, version ?? ""].join(" ").trim()}`);
  return toPath(peer);
}

/** Returns the path of an executable. For our own programs it contains a hash of the sources, so changes rebuild it. */
function toPath(peer: Peer): string {
  const suffix = peer.target.startsWith("./") ? `-${sourceHash(peer)}` : "";
  return join(cacheDir(), `${peer.module}-${peer.version}`, `${peer.name}${suffix}`);
}

function sourceHash(peer: Peer): string {
  const module = join(process.cwd(), "tests", "interop", "peers", peer.module);
  const folder = join(module, peer.target);
  const files = [
    join(module, peer.moduleFile ?? "go.mod"),
    ...readdirSync(folder).sort().map((file) => join(folder, file)),
  ];
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 12);
}

/** Builds the missing peers of the suite, with those of the benchmarks or programs, or only those that are named. */
export async function ensurePeers(
  root: string,
  use: "suite" | "bench" | "programs" | readonly string[] = "suite",
): Promise<void> {
  const wanted = PEERS.filter((peer) =>
    typeof use === "string" ? peer.use === undefined || peer.use === use : use.includes(peer.name)
  );
  const missing = wanted.filter((peer) => !existsSync(toPath(peer)));
  if (missing.length === 0) return;
  if (await run("go", ["version"]).catch(() => 1) !== 0) {
    throw new Error("the interop suite builds its peers with Go 1.26: install it and put `go` on the PATH");
  }
  for (const peer of missing) {
    const path = toPath(peer);
    process.stderr.write(`building ${peer.name} ${peer.version}\n`);
    await mkdir(join(path, ".."), { recursive: true });
    const verb = peer.build === "test" ? ["test", "-c"] : ["build"];
    const moduleFile = peer.moduleFile === undefined ? [] : [`-modfile=${peer.moduleFile}`];
    await mustRun("go", [...verb, ...moduleFile, "-ldflags", linkerFlags(peer), "-o", `${path}.new`, peer.target], {
      cwd: join(root, "tests", "interop", "peers", peer.module),
      env: { CGO_ENABLED: peer.needsC === true ? "1" : "0" },
    });
    // An interrupted build leaves no incomplete executable behind.
    await rename(`${path}.new`, path);
  }
}

function linkerFlags({ release }: Peer): string {
  if (release === undefined) return "-s -w";
  const [, minor = ""] = release.split(".");
  const version = "k8s.io/component-base/version";
  return `-s -w -X ${version}.gitVersion=${release} -X ${version}.gitMajor=1 -X ${version}.gitMinor=${minor}`;
}
