/** `openInstance`: what `tlsboot up` runs, inside a program. */
import { AppError } from "../../core/errors.ts";
import { omitUndefined } from "../../core/lib/record.ts";
import { startFullInstance } from "../../instance/full_instance.ts";
import { DEFAULT_SETTINGS, type InstanceSettings } from "../../instance/settings.ts";
import { type AdminAccess, createAdminAccess } from "./api_access.ts";
import { createLibraryDeps, type SystemPorts } from "./defaults.ts";

/**
 * The data directory of an instance, which is made when it is missing, and the settings that differ from the defaults of
 * `tlsboot up`, under the names of its flags.
 */
export interface OpenSettings extends Partial<InstanceSettings>, Partial<SystemPorts> {
  readonly dataDir: string;
  /** The path of a file with the passphrase of the CA's key. */
  readonly caPassphraseFile?: string;
  /** Ends the start, or the work of the controllers, when it aborts; disposing the instance ends everything. */
  readonly signal?: AbortSignal;
}

/** A running instance. Disposing it stops the controllers and the server, and closes the database. */
export interface OpenInstance extends AdminAccess {
  /** The absolute path of the data directory. */
  readonly dataDir: string;
  /** The path of the kubeconfig with a bootstrap token, which is renewed while the instance runs. */
  readonly bootstrapKubeconfigPath: string;
  /** Aborts with the reason when the instance cannot work any longer, for example because its database is lost. */
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
