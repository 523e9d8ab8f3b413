/**
 * The exchange of machines' proofs in an instance: the proofs in the inventory, the key that seals exchanges, and the
 * right of clients without a credential to exchange proofs, which exists only while the inventory lists one.
 */
import { findExpectedProofs, type Inventory, listProofKinds } from "../../core/approval/evidence/inventory.ts";
import { createSealingKey, listQuotedPcrs, type SealingKey } from "../../core/attestation/exchange.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { decodeBase64, encodeBase64 } from "../../core/lib/encodings.ts";
import { checkPrivateFile } from "../../client/private_file.ts";
import { reconcileObjects } from "../../server/bootstrap_objects.ts";
import type { AttestationOptions, ExpectedMachines, Storage } from "../../server/mod.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../client/files.ts";
import type { DataDir } from "../data_dir.ts";
import type { InstanceDeps } from "../deps.ts";
import { attesterObjects } from "../instance_rbac.ts";
import type { InstanceSettings } from "../settings.ts";

/** An inventory that changes: `refresh` reads its file again. */
export interface FollowedInventory {
  current(): Inventory;
  refresh(): Promise<void>;
}

/** The dependencies of a server's exchange of proofs. */
interface AttestationPlace {
  /** Opens the key that seals exchanges, once the inventory lists a proof. */
  readonly openKey: () => Promise<SealingKey>;
  /**
   * Whether other servers may use the same objects. They must have the same inventory and be able to open the same
   * states.
   */
  readonly isShared: boolean;
  /** The machines that may prove their identity; undefined for none. */
  readonly inventory: FollowedInventory | undefined;
  readonly caHash: AttestationOptions["caHash"];
  readonly cluster?: AttestationOptions["cluster"];
}

/** The exchange of proofs of one server. */
interface InstanceAttestation {
  readonly options: AttestationOptions;
  /**
   * Follows the inventory until the signal aborts, and changes the right of anonymous clients accordingly. Servers on
   * one etcd share this right: a server whose inventory loses its last proof removes it for all servers, and a server
   * that starts without a proof leaves it unchanged. The right has no effect on a server whose inventory lists no
   * proof.
   */
  follow(storage: Storage, signal: AbortSignal): Promise<void>;
}

type Settings = Pick<InstanceSettings, "anonymousAuth" | "enableBootstrapTokenAuth">;
type Deps = Pick<InstanceDeps, "clock" | "random" | "logger">;

const CHECK_INTERVAL_MS = 1_000;
/** The length of the secret that sealing keys are derived from, in bytes. */
export const SEALING_SECRET_BYTES = 32;
const NO_INVENTORY: Inventory = new Map();
const COMMENT = "# Seals the exchange of proofs for bootstrap tokens. Servers on one etcd have the same file.\n";

/**
 * Opens the exchange with the current inventory. AppError `usage` when the inventory lists a proof but the settings do
 * not let a machine exchange it, and those of the file with the sealing key.
 */
export async function openAttestation(
  settings: Settings,
  { openKey, isShared, inventory, caHash, cluster }: AttestationPlace,
  deps: Deps,
): Promise<InstanceAttestation> {
  let read = NO_INVENTORY;
  let expected = toExpectedMachines(read);
  let sealingKey: SealingKey | undefined;
  const update = async (): Promise<void> => {
    const next = inventory?.current() ?? NO_INVENTORY;
    if (next === read) return;
    read = next;
    const machines = toExpectedMachines(next);
    if (machines.kinds.length > 0) {
      assertExchange(settings);
      sealingKey ??= await openKey();
    }
    expected = machines;
  };
  await update();
  return {
    options: {
      // A call is served only while a proof is listed, and then the key is open.
      sealingKey: (purpose, at) => sealingKey!(purpose, at),
      caHash,
      expected: () => expected,
      cluster,
    },
    async follow(storage, signal) {
      // An earlier start, or another server that lists proofs, may have granted the right.
      let isGiven = isShared && expected.kinds.length === 0 ? false : undefined;
      while (!signal.aborted) {
        const isWanted = expected.kinds.length > 0;
        try {
          if (isGiven !== isWanted && await setRight(isWanted, storage, deps)) isGiven = isWanted;
        } catch (error) {
          // Another server wrote it at the same time.
          if (!isAppError(error, "conflict")) {
            deps.logger.error("the right to exchange proofs was not changed; it is tried again", { error });
          }
        }
        if (inventory === undefined && isGiven === false) return;
        try {
          await deps.clock.sleep(CHECK_INTERVAL_MS, signal);
          await inventory?.refresh();
          await update();
        } catch (error) {
          if (!signal.aborted) deps.logger.error("the inventory changed but its proofs cannot be used", { error });
        }
      }
    },
  };
}

function toExpectedMachines(inventory: Inventory): ExpectedMachines {
  const listed = [...inventory.values()].flatMap(({ proofs }) => proofs === undefined ? [] : [proofs]);
  return {
    kinds: listProofKinds(inventory),
    pcrs: listQuotedPcrs(listed),
    find: (node, proven, now) => findExpectedProofs(inventory, node, proven, now),
  };
}

function assertExchange({ anonymousAuth, enableBootstrapTokenAuth }: Settings): void {
  const setting = !anonymousAuth ? "anonymousAuth" : enableBootstrapTokenAuth ? undefined : "enableBootstrapTokenAuth";
  if (setting === undefined) return;
  throw new AppError(
    "usage",
    `the setting ${setting} is false, and the inventory lists proofs: a machine without a credential exchanges its proof ` +
      "for a bootstrap token",
    { hint: "set it to true, or remove tpm and ssh from the inventory and give each machine a token" },
  );
}

/**
 * Creates or removes the role and the binding of clients without a credential. Returns whether the storage accepted the
 * change.
 */
async function setRight(isListed: boolean, storage: Storage, deps: Deps): Promise<boolean> {
  const objects = attesterObjects();
  if (isListed) return await reconcileObjects({ ...deps, storage }, objects);
  for (const { key } of objects) {
    const stored = await storage.get(key);
    if (stored !== undefined) await storage.delete(key, stored.revision);
  }
  return true;
}

/** Opens the key that seals the exchanges of an instance, and creates it if there is none. */
export async function openSealingKey(
  { attestationKey: path, pki }: DataDir,
  isShared: boolean,
  { files, random, logger }: Deps & Pick<InstanceDeps, "files">,
): Promise<SealingKey> {
  const text = await files.readText(path);
  if (text === undefined) {
    const secret = random.bytes(SEALING_SECRET_BYTES);
    await files.makeDirectory(pki, FOLDER_MODE);
    await files.writeAtomic(path, `${COMMENT}${encodeBase64(secret)}\n`, SECRET_MODE);
    logger.info("key for the exchange of proofs created", { path });
    if (isShared) {
      logger.warn(
        "this server made its own key for the exchange of proofs; if there are other servers, copy " +
          "pki/attestation.key of the first one to all and start them again",
        { path },
      );
    }
    return createSealingKey(secret);
  }
  await checkPrivateFile(path, files);
  const secret = decodeBase64(text.replace(/^#.*$/gm, "").trim());
  if (secret?.length === SEALING_SECRET_BYTES) return createSealingKey(secret);
  throw new AppError(
    "key_invalid",
    `cannot exchange proofs with "${path}": it does not hold ${SEALING_SECRET_BYTES} bytes as base64`,
    {
      hint: "delete it: the server makes another one, and machines begin their exchange again",
    },
  );
}
