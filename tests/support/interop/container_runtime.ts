/** A container runtime that answers a kubelet and runs nothing. */
import { peerPath } from "../peers/go.ts";
import { start } from "../child.ts";

export interface ContainerRuntime extends AsyncDisposable {
  readonly socket: string;
}

/** Starts one and waits until it listens. A path of a socket may have 107 bytes, so the folder must not be deep. */
export async function startContainerRuntime(folder: string): Promise<ContainerRuntime> {
  const socket = `${folder}/cri.sock`;
  await using stack = new AsyncDisposableStack();
  const running = stack.use(start(peerPath("criserver"), ["-socket", socket]));
  await running.waitFor(/^listening$/m);
  const owned = stack.move();
  return { socket, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
