/** `kubectl get --watch` that is started again when its server dies, as a person or a script would. */
import type { Child } from "../child.ts";
import { eventually } from "../eventually.ts";
import type { Kubectl } from "../interop/kubectl.ts";

/** A watch over config maps. Disposing ends it. */
export interface RestartedWatch extends AsyncDisposable {
  /** Creates a config map and waits until the watch has delivered it; both may need several attempts. */
  sees(kubectl: Kubectl, name: string): Promise<void>;
  /** The number of times that it was started. */
  starts(): number;
}

const PAUSE_MS = 200;
const SEEN_WITHIN_MS = 180_000;

/** Starts a watch as the user of a kubectl. */
export function startRestartedWatch(kubectl: Kubectl): RestartedWatch {
  const outputs: string[] = [];
  let current: Child | undefined;
  let isEnding = false;
  const running = (async () => {
    while (!isEnding) {
      current = kubectl.start("get", "configmaps", "-n", "default", "--watch", "--output=name");
      await current.finished();
      outputs.push(current.stdout());
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
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
