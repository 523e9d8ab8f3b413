/**
 * Stock programs during a rotation: a kubelet that is restarted whenever `tlsboot trust fetch` changes its CA file, and
 * a `kubectl get --watch` that is restarted when its server dies.
 */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { parseKubeconfig } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import { type Child, spawnTlsboot } from "../child.ts";
import { eventually } from "../eventually.ts";
import type { Kubectl } from "../interop/kubectl.ts";
import { startWholeKubelet, type WholeKubelet } from "../interop/whole_kubelet.ts";
import type { TempFolder } from "../temp.ts";
import { type FleetMachine, openMachine } from "./fleet.ts";

/** A kubelet that follows the CA. Disposing it ends it. */
interface FollowingKubelet extends AsyncDisposable {
  readonly machine: FleetMachine;
  readonly kubelet: WholeKubelet;
  /** The number of restarts after changes of its CA file. */
  restarts(): number;
  /** Describes a process that has ended; undefined while both are running. */
  fault(): string | undefined;
}

const START_WITHIN_MS = 180_000;

/** Starts a kubelet and waits until it has joined. */
export async function startFollowingKubelet(
  folder: TempFolder,
  name: string,
  bootstrapKubeconfig: string,
): Promise<FollowingKubelet> {
  await using stack = new AsyncDisposableStack();
  const own = folder.join(name);
  await mkdir(own, { recursive: true });
  const [bootstrap, ca] = [`${own}/bootstrap.kubeconfig`, `${own}/ca.crt`];
  const config = parseKubeconfig(await readFile(bootstrapKubeconfig, "utf8"), bootstrapKubeconfig);
  const embedded = config.ok ? config.value.clusters[0]?.cluster.certificateAuthorityData : undefined;
  await writeFile(ca, embedded ?? "");
  await copyFile(bootstrapKubeconfig, bootstrap);
  const text = await readFile(bootstrap, "utf8");
  // A file instead of embedded certificates: the kubelet copies the reference to its own kubeconfig.
  await writeFile(bootstrap, text.replace(/certificate-authority-data: \S+/, `certificate-authority: ${ca}`));
  const kubelet = stack.use(await startWholeKubelet(folder, name, bootstrap));
  const machine = openMachine(folder.path, name);
  await eventually(
    `${name} to join`,
    async () => {
      if (kubelet.running.hasEnded()) throw new Error(kubelet.running.stderr().slice(-4000));
      return await machine.readCertificate();
    },
    START_WITHIN_MS,
  );
  const fetching = stack.use(spawnTlsboot([
    ...["trust", "fetch", "--signer", "kubernetes.io/kube-apiserver-serving"],
    ...["--kubeconfig", kubelet.kubeconfig, "--out", ca, "--watch", "--exec", "echo the CA has changed"],
  ]));
  let restarts = 0;
  let end = false;
  const following = (async () => {
    while (!end) {
      // The output of the hook goes to stderr.
      const changes = fetching.stderr().match(/the CA has changed/g)?.length ?? 0;
      if (changes > restarts) {
        await kubelet.restart();
        restarts = changes;
      }
      await setTimeout(100);
    }
  })();
  following.catch(() => {});
  stack.defer(async () => {
    end = true;
    await following;
  });
  const owned = stack.move();
  return {
    machine,
    kubelet,
    restarts: () => restarts,
    fault: () =>
      fetching.hasEnded()
        ? `trust fetch has ended: ${fetching.stderr()}`
        : kubelet.running.hasEnded()
        ? `the kubelet has ended: ${kubelet.running.stderr().slice(-4000)}`
        : undefined,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A watch of ConfigMaps. Disposing it ends it. */
interface RestartedWatch extends AsyncDisposable {
  /** Creates a ConfigMap and waits until the watch has delivered it; both may need several attempts. */
  sees(kubectl: Kubectl, name: string): Promise<void>;
  starts(): number;
}

const PAUSE_MS = 200;
const SEEN_WITHIN_MS = 180_000;

/** Starts a watch with the kubeconfig of a kubectl. */
export function startRestartedWatch(kubectl: Kubectl): RestartedWatch {
  const outputs: string[] = [];
  let current: Child | undefined;
  let isEnding = false;
  const running = (async () => {
    while (!isEnding) {
      current = kubectl.start("get", "configmaps", "-n", "default", "--watch", "--output=name");
      await current.finished();
      outputs.push(current.stdout());
      await setTimeout(PAUSE_MS);
    }
  })();
  return {
    starts: () => outputs.length + 1,
    async sees(writer, name) {
      await eventually(`configmap ${name} to be created`, async () => {
        const { code, stderr } = await writer.try("create", "configmap", name, "-n", "default");
        return code === 0 || stderr.includes("AlreadyExists") || stderr.includes("already exists") ? true : undefined;
      }, SEEN_WITHIN_MS);
      await eventually(`the watch to deliver configmap ${name}`, () => {
        const text = outputs.join("") + (current?.stdout() ?? "");
        return Promise.resolve(text.includes(`configmap/${name}\n`) ? true : undefined);
      }, SEEN_WITHIN_MS);
    },
    async [Symbol.asyncDispose]() {
      isEnding = true;
      current?.kill("SIGKILL");
      await running;
    },
  };
}
