/** `openInstance`: what `tlsboot up` runs, inside a program. */
import { AppError } from "../../core/errors.ts";
import { getDefaultFullSettings, startFullInstance } from "../../instance/full_instance.ts";
import { type AdminAccess, createAdminAccess } from "./api_access.ts";
import { createLibraryDeps, type SystemPorts } from "./defaults.ts";

/** The data directory of an instance, and the settings that differ from those of `tlsboot up`. */
export interface InstanceSettings extends Partial<SystemPorts> {
  /** The data directory, made when it is missing: CA, database, kubeconfigs. */
  readonly dataDir: string;
  /** The address to listen on; `127.0.0.1` by default. */
  readonly bindAddress?: string;
  /** The port to listen on, 6443 by default; 0 takes a free one. */
  readonly port?: number;
  /** The name or address of the server in kubeconfigs; by default the address that it listens on. */
  readonly advertiseAddress?: string;
  /** Approves requests for kubelet client certificates by machines with a bootstrap token of the instance. */
  readonly autoApprove?: boolean;
  /** Names of built-in policies, or paths of files of kind ApprovalPolicy, for other requests. */
  readonly policies?: readonly string[];
  /** The path of a file of kind Inventory, which policies use. */
  readonly inventory?: string;
  /** Paths of files of kind SigningProfile; each is the rules of a custom signer. */
  readonly profiles?: readonly string[];
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
 * Throws AppError with a code and a hint, for example `port_in_use`, `storage_locked`, `ca_invalid` or `config_invalid`. The
 * messages name the flags of the command.
 */
export async function openInstance(settings: InstanceSettings): Promise<OpenInstance> {
  const { signal = new AbortController().signal, caPassphraseFile } = settings;
  const deps = createLibraryDeps(settings, caPassphraseFile, signal);
  const { dataDir, bindAddress, port, advertiseAddress, autoApprove = false, policies, inventory, profiles } = settings;
  const defaults = getDefaultFullSettings();
  const instance = await startFullInstance(
    {
      ...defaults,
      dataDir,
      bindAddress: bindAddress ?? defaults.bindAddress,
      securePort: port ?? defaults.securePort,
      advertiseAddress: advertiseAddress ?? defaults.advertiseAddress,
      policy: policies ?? defaults.policy,
      inventory: inventory ?? defaults.inventory,
      profile: profiles ?? defaults.profile,
      caPassphraseFile: caPassphraseFile ?? defaults.caPassphraseFile,
      autoApprove,
    },
    deps,
    signal,
  );
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
