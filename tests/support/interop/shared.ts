/**
 * The servers that the tests of a process share, one after the other. Each server starts for the first test that needs it
 * and ends after the last test. A test that changes the CA, the flags or the version of a server, or ends it, starts its own.
 */
import { writeFile } from "node:fs/promises";
import { after } from "node:test";
import { eventually } from "../eventually.ts";
import { AUDIT_POLICY, type ControlPlane, startControlPlane } from "./control_plane.ts";
import { startEtcd } from "./etcd.ts";
import { type RunningInstance, startInstance } from "./instance.ts";

const servers = new AsyncDisposableStack();
after(() => servers.disposeAsync());

/** The prefix below which kube-apiserver keeps all of its objects. */
const STORED = "/registry/";

/** The keys that kube-apiserver creates at its start and updates itself. */
const OWN =
  /^\/registry\/(?:ipaddresses\/10\.0\.0\.1$|leases\/kube-system\/apiserver-|peerserverleases|services\/specs\/default\/kubernetes$)/;

/** A control plane without kube-controller-manager, and its audit log. */
export interface SharedControlPlane extends ControlPlane {
  readonly auditLog: string;
}

let planeStarting: ReturnType<typeof startPlane> | undefined;
let isPlaneInUse = false;

/**
 * Returns the control plane in its initial state, with its own folder. A test must dispose it before the next test uses
 * it, which restores the initial objects.
 */
export async function sharedControlPlane(): Promise<SharedControlPlane> {
  planeStarting ??= startPlane();
  const { plane, auditLog, restore } = await planeStarting;
  if (isPlaneInUse) throw new Error("the shared control plane is in use: dispose it before another test asks for it");
  isPlaneInUse = true;
  const own = await plane.withOwnFolder();
  return {
    ...own,
    auditLog,
    async [Symbol.asyncDispose]() {
      await own[Symbol.asyncDispose]();
      await restore();
      isPlaneInUse = false;
    },
  };
}

async function startPlane() {
  // Only a crash of the machine loses unsynced data.
  const etcd = servers.use(await startEtcd({ flags: ["--unsafe-no-fsync"] }));
  const auditLog = etcd.folder.join("audit.log");
  const plane = servers.use(
    await startControlPlane({
      controllers: false,
      etcd,
      apiserverFlags: async (folder) => {
        await writeFile(folder.join("policy.json"), AUDIT_POLICY);
        return [
          ...[`--audit-policy-file=${folder.join("policy.json")}`, `--audit-log-path=${auditLog}`],
          // Keep old revisions however long the tests take.
          "--etcd-compaction-interval=0",
        ];
      },
    }),
  );
  const [member] = etcd.members;
  const beginning = await eventually("kube-apiserver has published its CA", async () => {
    const stored = await member!.read(STORED);
    return stored.has(`${STORED}configmaps/kube-system/extension-apiserver-authentication`) ? stored : undefined;
  });
  const restore = async (): Promise<void> => {
    const own = [...await member!.read(STORED)].filter(([key]) => OWN.test(key));
    await member!.restore(STORED, new Map([...beginning, ...own]));
  };
  return { plane, auditLog, restore };
}

/** The bearer tokens of the shared instance, as lines of a token file. */
const TOKENS = ['admin-token,admin,1,"system:masters"', 'monitor-token,monitor,2,"system:monitoring"'];

let instanceStarting: Promise<RunningInstance> | undefined;

/**
 * Returns the shared instance with its own folder. It contains the objects of other tests, so a test uses unique names and
 * changes nothing that others see.
 */
export async function sharedInstance(): Promise<RunningInstance> {
  instanceStarting ??= startInstance({ args: ["--audit-log-path", "audit.log"], tokens: TOKENS })
    .then((instance) => servers.use(instance));
  return await (await instanceStarting).withOwnFolder();
}
