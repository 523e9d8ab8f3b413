/**
 * The server side of the library: `openInstance` runs what `tlsboot up` runs inside another program, and
 * `startTestServer` runs an API server in memory for tests.
 */
import { AppError } from "../../core/errors.ts";
import { omitUndefined } from "../../core/lib/record.ts";
import { startFullInstance } from "../../instance/full_instance.ts";
import { DEFAULT_SETTINGS, type InstanceSettings } from "../../instance/settings.ts";
import { type AdminAccess, createAdminAccess } from "./clients.ts";
import { createLibraryDeps, createSystemPorts, type SystemPorts } from "./defaults.ts";
import { startMemoryInstance } from "../../instance/memory_instance.ts";

/**
 * The data directory of an instance, which is created if it is missing, and settings that replace the defaults of
 * `tlsboot up`, with the names of its flags.
 */
export interface OpenSettings extends Partial<InstanceSettings>, Partial<SystemPorts> {
  readonly dataDir: string;
  /** The path of a file with the passphrase of the CA's key. */
  readonly caPassphraseFile?: string;
  /** Ends the start or stops the controllers when it aborts. Disposing the instance stops everything. */
  readonly signal?: AbortSignal;
}

/** A running instance. Disposing it stops the controllers and the server, and closes the database. */
export interface OpenInstance extends AdminAccess {
  /** The absolute path of the data directory. */
  readonly dataDir: string;
  /** The path of the kubeconfig with a bootstrap token, which is renewed while the instance runs. */
  readonly bootstrapKubeconfigPath: string;
  /** Aborts with the reason when the instance can no longer work, for example because it lost its database. */
  readonly lost: AbortSignal;
}

/**
 * Starts what `tlsboot up` runs: the API server over a data directory, signer, approver and the other controllers. The
 * certificates of the server and `admin.kubeconfig` are renewed while it runs.
 *
 * Throws AppError with a code and a hint, for example `port_in_use`, `storage_locked`, `ca_invalid`, `config_invalid` or
 * `usage`.
 */
export async function openInstance(settings: OpenSettings): Promise<OpenInstance> {
  const { signal = new AbortController().signal, caPassphraseFile } = settings;
  const deps = createLibraryDeps(settings, caPassphraseFile, signal);
  const instance = await startFullInstance({ ...DEFAULT_SETTINGS, ...omitUndefined(settings) }, deps, signal);
  const { dir, url, server, authorities, lost } = instance;
  const kubeconfig = await deps.files.readText(dir.adminKubeconfig);
  if (kubeconfig === undefined) {
    await instance[Symbol.asyncDispose]();
    throw new AppError("io", `cannot read "${dir.adminKubeconfig}": it was removed during the start`);
  }
  return {
    ...createAdminAccess({ server, url, caPem: authorities.trustPem, kubeconfig }, deps),
    dataDir: dir.root,
    bootstrapKubeconfigPath: dir.bootstrapKubeconfig,
    lost,
    [Symbol.asyncDispose]: () => instance[Symbol.asyncDispose](),
  };
}

/** The settings of a test server. */
export interface TestServerSettings extends Partial<SystemPorts> {
  /** Approves requests for kubelet client certificates by machines with a bootstrap token. */
  readonly autoApprove?: boolean;
  /** Built-in controllers not to run, so that a test can replace them. */
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
 * writes no files, so tests can start many of them.
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
