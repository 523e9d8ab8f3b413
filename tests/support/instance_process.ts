/** `tlsboot up` and `tlsboot serve` as child processes, and calls to their API from the test. */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { type ApiClient, createApiClient } from "../../client/objects/api.ts";
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { createFilePort } from "../../client/files.ts";
import { isAppError } from "../../core/errors.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { createSystemClock } from "../../cli/system.ts";
import { type Finished, type Running, startTlsboot } from "./child.ts";
import type { TempFolder } from "./temp.ts";

/** A running instance. Disposing it kills it. */
export interface InstanceProcess extends AsyncDisposable {
  readonly running: Running;
  readonly url: string;
  readonly port: number;
  readonly data: string;
  /** Ends it by a signal and waits. */
  end(signal: NodeJS.Signals): Promise<Finished>;
}

const STARTED = /(?:is up at|serves) (https:\/\/\S+:(\d+))/;

/** Starts an instance below a folder and waits until it serves. */
export async function startInstanceProcess(
  folder: TempFolder,
  args: readonly string[] = [],
  command: "up" | "serve" = "up",
): Promise<InstanceProcess> {
  const data = folder.join("data");
  const port = args.includes("--secure-port") ? [] : ["--secure-port", "0"];
  const running = startTlsboot([command, "--data-dir", data, ...port, ...args], { cwd: folder.path });
  try {
    const [, url = "", number = "0"] = await running.waitFor(STARTED);
    return {
      running,
      url,
      port: Number(number),
      data,
      async end(signal) {
        // Not by the child object: Deno then reports the signal instead of the exit code.
        process.kill(running.pid, signal);
        return await running.finished();
      },
      [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
    };
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

/** Describes for a failed test whether the program has ended, and what it printed. */
export async function describeFate({ running }: Pick<InstanceProcess, "running">): Promise<string> {
  // It has ended a moment before it is known to have.
  await Promise.race([running.finished(), setTimeout(1_000, undefined, { ref: false })]);
  return running.hasEnded() ? `tlsboot has ended:\n${running.stderr()}` : "tlsboot is still running";
}

/** An API over a kubeconfig. */
export interface Connected extends AsyncDisposable {
  readonly api: ApiClient;
}

export async function connectWith(kubeconfig: string): Promise<Connected> {
  const clock = createSystemClock();
  const files = createFilePort();
  const transport = await createConnector({ files, clock, userAgent: "test" })(await readCluster(kubeconfig, files));
  return { api: createApiClient(transport, { clock }), [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() };
}

/** Reads the user that the API sees behind a kubeconfig; 401 when the server does not accept it. */
export async function readIdentity(kubeconfig: string): Promise<UserInfo | "401"> {
  await using connected = await connectWith(kubeconfig);
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  try {
    const answer = await connected.api.requestJson({ method: "POST", path, body }, new AbortController().signal);
    return (answer as { readonly status: { readonly userInfo: UserInfo } }).status.userInfo;
  } catch (error) {
    if (!isAppError(error, "unauthorized")) throw error;
    return "401";
  }
}
