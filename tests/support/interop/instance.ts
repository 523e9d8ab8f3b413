/** `tlsboot up` from its sources, in a temporary folder with a home directory for the caches of kubectl. */
import { mkdir, writeFile } from "node:fs/promises";
import { type Child, type Finished, spawnTlsboot, spawnTlsbootToEnd, succeedTlsboot } from "../child.ts";
import { createTempFolder, type TempFolder } from "../temp.ts";
import { createKubectl, type Kubectl } from "./kubectl.ts";

export interface InstanceOptions {
  readonly args?: readonly string[];
  /** The lines of a file for --token-auth-file. */
  readonly tokens?: readonly string[];
  /** The data directory; by default below the temporary folder. */
  readonly dataDir?: string;
  /** The version of its kubectl; by default the newest. */
  readonly kubectlRelease?: string | undefined;
}

export interface RunningInstance extends AsyncDisposable {
  readonly folder: TempFolder;
  readonly running: Child;
  readonly server: string;
  readonly dataDir: string;
  readonly caPath: string;
  readonly adminKubeconfig: string;
  readonly bootstrapKubeconfig: string;
  /** Stock kubectl as this instance's administrator. */
  readonly kubectl: Kubectl;
  /** Runs another tlsboot command to its end, in the temporary folder. */
  tlsboot(...args: readonly string[]): Promise<Finished>;
  /** Runs a command that must succeed. */
  succeed(...args: readonly string[]): Promise<Finished>;
  /** Starts a command, in the temporary folder. */
  spawnTlsboot(...args: readonly string[]): Child;
  /** Returns the same instance with another temporary folder. Disposing it only removes the folder. */
  withOwnFolder(): Promise<RunningInstance>;
}

/** Starts an instance on a free port, and waits until it reports its address. */
export async function startInstance(options: InstanceOptions = {}): Promise<RunningInstance> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTempFolder());
  await mkdir(folder.join("home"));
  const dataDir = options.dataDir ?? folder.join("data");
  const running = stack.use(spawnTlsboot(await upArguments(folder, dataDir, options), { cwd: folder.path }));
  const server = await waitUntilUp(running);
  const adminKubeconfig = `${dataDir}/admin.kubeconfig`;
  const inFolder = (own: TempFolder, owned: AsyncDisposable): RunningInstance => {
    const start = { cwd: own.path, env: { HOME: own.join("home") } };
    return {
      folder: own,
      running,
      server,
      dataDir,
      caPath: `${dataDir}/pki/ca.crt`,
      adminKubeconfig,
      bootstrapKubeconfig: `${dataDir}/bootstrap.kubeconfig`,
      kubectl: createKubectl(own, adminKubeconfig, { release: options.kubectlRelease }),
      tlsboot: (...args) => spawnTlsbootToEnd(args, start),
      succeed: (...args) => succeedTlsboot(args, start),
      spawnTlsboot: (...args) => spawnTlsboot(args, start),
      async withOwnFolder() {
        const other = await createTempFolder();
        await mkdir(other.join("home"));
        return inFolder(other, other);
      },
      [Symbol.asyncDispose]: async () => await owned[Symbol.asyncDispose](),
    };
  };
  return inFolder(folder, stack.move());
}

/** Waits for the greeting of `up`, and returns its URL. */
export async function waitUntilUp(running: Child): Promise<string> {
  const [, server = ""] = await running.waitFor(/tlsboot is up at (https:\S+)[^]*Next, in another terminal/);
  return server;
}

async function upArguments(folder: TempFolder, dataDir: string, options: InstanceOptions): Promise<readonly string[]> {
  const args = ["up", "--secure-port", "0", "--data-dir", dataDir, ...(options.args ?? [])];
  if (options.tokens === undefined) return args;
  const path = folder.join("tokens.csv");
  await writeFile(path, options.tokens.map((line) => `${line}\n`).join(""), { mode: 0o600 });
  return [...args, "--token-auth-file", path];
}
