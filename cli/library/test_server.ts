/** `startTestServer`: an API server in memory with its controllers, for the tests of programs that talk to one. */
import { startMemoryInstance } from "../../instance/memory_instance.ts";
import { type AdminAccess, createAdminAccess } from "./api_access.ts";
import { createSystemPorts, type SystemPorts } from "./defaults.ts";

/** The settings of a test server. */
export interface TestServerSettings extends Partial<SystemPorts> {
  /** Approves requests for kubelet client certificates by machines with a bootstrap token. */
  readonly autoApprove?: boolean;
  /** Built-in controllers that do not run, so that a test can put another in their place. */
  readonly without?: readonly ("approver" | "signer")[];
  /** The lifetime of issued certificates, in seconds; a year by default. */
  readonly signingDurationSeconds?: number;
  /** Whether requests and client certificates with ML-DSA keys are accepted. Default: false. */
  readonly allowMlDsa?: boolean;
}

/** A running test server. Disposing it stops the controllers and the server, and drops all objects. */
export interface TestServer extends AdminAccess {
  readonly port: number;
  /** A bearer token of an administrator, for clients without a kubeconfig. */
  readonly token: string;
}

/**
 * Starts an API server on a free port of `127.0.0.1`, with its controllers and a new CA. It keeps everything in memory and
 * writes no file, so tests may start as many as they like.
 */
export async function startTestServer(settings: TestServerSettings = {}): Promise<TestServer> {
  const ports = createSystemPorts(settings);
  const instance = await startMemoryInstance(settings, ports);
  return {
    ...createAdminAccess(instance, ports),
    port: instance.server.port,
    token: instance.token,
    [Symbol.asyncDispose]: () => instance[Symbol.asyncDispose](),
  };
}
