/**
 * Follows the rotations of an instance's CAs: a running server watches the CARotation objects and adopts each step
 * without a restart. A server that was down catches up when it starts, before it serves.
 */
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { caRotationKind } from "../../core/kube/kinds/mod.ts";
import { formatTime, getName } from "../../core/kube/meta.ts";
import type { CaRotation, CaRotationServer } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { planCaFiles } from "../../core/ca_rotation/ca_files.ts";
import { isInProgress, parseRotatedCas, type RotatedCas } from "../../core/ca_rotation/rotation_rules.ts";
import { getTrustStep, listRenewalAnnotations, listRetiredCas } from "../../core/ca_rotation/trust.ts";
import { reconcileObjects } from "../../server/bootstrap_objects.ts";
import { followResource } from "../../server/storage/follow.ts";
import {
  applyCaFileSteps,
  type NewCaFiles,
  readCasOnDisk,
  toCaSlots,
  toRetiredPaths,
  toSlotPaths,
} from "../authority/ca_swap.ts";
import { readAuthority } from "../authority/files.ts";
import type { CaRotations, LiveAuthorities } from "../authority/instance_authorities.ts";
import { type AuthorityPaths, authorityPaths, getCaName } from "../authority/layout.ts";
import type { CrlFiles } from "./crl_files.ts";
import type { DataDir } from "../data_dir.ts";
import type { InstanceDeps } from "../deps.ts";
import { trustFollowerObjects } from "../instance_rbac.ts";
import type { OwnSource } from "./register.ts";
import { findWrappedKey, toWrappedKeyName, unwrapKey } from "../../core/ca_rotation/new_ca.ts";
import type { Storage, Stored } from "../../server/mod.ts";
import { caRotations, findTokenSecret, toKeyPrefix } from "../../server/registry/mod.ts";
import { encodeTrust } from "../../core/pki/x509/ca_bundle.ts";

/** The parts of an instance that a rotation changes. */
interface RotationTargets {
  readonly dir: DataDir;
  /** The path of the key for service account tokens, which encrypts a new CA key on its way to the servers. */
  readonly tokenKey: string;
  readonly storage: Storage;
  readonly authorities: LiveAuthorities;
  readonly crls: Pick<CrlFiles, "add" | "remove">;
  /** Records a CA before its first signature. */
  readonly record: (certificate: CertificateFacts, source: OwnSource) => Promise<void>;
}

/** The adapters of a rotation. */
type RotationDeps = Pick<InstanceDeps, "files" | "clock" | "logger" | "random" | "keys">;

const PREFIX = toKeyPrefix(caRotations, "");
/** The interval at which a server confirms in the status that it runs. */
const HEARTBEAT_MS = 60_000;
/** The pause after which a server that could not adopt a step tries again. */
const RETRY_MS = 5_000;
const WRITE_ATTEMPTS = 10;

/** The result of the last attempt to adopt a step. */
interface Adoption {
  /** The last step that was adopted; empty for none. */
  readonly step: string;
  readonly message: string | undefined;
}

/** The rotations of the CAs of one server. */
export class InstanceRotations {
  readonly #targets: RotationTargets;
  readonly #deps: RotationDeps;
  readonly #rotations = new Map<string, CaRotation>();
  readonly #adoptions = new Map<string, Adoption>();
  readonly #listeners: (() => Promise<void>)[] = [];
  readonly #slotCrls = new Map<string, string>();
  /** The new CAs of rotations that were aborted in this run. */
  readonly #aborted = new Set<string>();
  #adoptedState = "";
  /** The rotations that are in effect. */
  #inUse: CaRotations = new Map();
  #isFailing = false;
  #changed = Promise.withResolvers<void>();

  private constructor(targets: RotationTargets, deps: RotationDeps) {
    this.#targets = targets;
    this.#deps = deps;
  }

  /** Reads the rotations and catches up with them. AppError `ca_invalid` if the server has only a retired CA. */
  static async open(targets: RotationTargets, deps: RotationDeps): Promise<InstanceRotations> {
    const rotations = new InstanceRotations(targets, deps);
    for (const stored of (await targets.storage.list(PREFIX)).items as readonly Stored<CaRotation>[]) {
      rotations.#rotations.set(getName(stored.object), stored.object);
    }
    // Files without a rotation may be retired only now: later, a command may be about to begin a rotation with them.
    const names = targets.authorities.purposes.map(getCaName);
    await rotations.#adopt(new Set(names));
    for (const [name, { message }] of rotations.#adoptions) {
      const rotation = rotations.#rotations.get(name);
      if (message !== undefined && rotation !== undefined && getTrustStep(rotation.spec) === "Finish") {
        throw new AppError("ca_invalid", `cannot use the CA "${name}": it was replaced, and ${message}`, {
          hint: `copy pki/${name}.crt and pki/${name}.key from another server of the installation, and start again`,
        });
      }
    }
    return rotations;
  }

  /** Returns the fingerprints of the CAs that are no longer trusted. */
  listRetired(): ReadonlySet<string> {
    const retired = new Set([...listRetiredCas(this.#rotations.values()), ...this.#aborted]);
    // An aborted rotation may have begun again with the same CA.
    for (const { spec } of this.#rotations.values()) retired.delete(findNewFingerprint(spec));
    return retired;
  }

  /** Returns the annotations that ask clients to renew certificates of a retiring CA once another CA signs. */
  listAnnotations(): Readonly<Record<string, string>> {
    return listRenewalAnnotations(this.#inUse.values());
  }

  /** Calls the listener after each change of the CAs. The step counts as adopted when all listeners have succeeded. */
  onAdopted(listener: () => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /** Follows the rotations until the signal aborts, and reports each adopted step under the name of this server. */
  async follow(serverName: string, signal: AbortSignal): Promise<void> {
    const gone = new Set<string>();
    const unseen = new Set<string>();
    const remove = (name: string): void => {
      this.#remove(name);
      gone.add(name);
    };
    const watch = await followResource<CaRotation>(this.#targets.storage, PREFIX, {
      clear: () => this.#rotations.forEach((_, name) => unseen.add(name)),
      added: (name, { object }) => {
        unseen.delete(name);
        this.#rotations.set(name, object);
      },
      removed: remove,
      changed: () => {
        unseen.forEach(remove);
        unseen.clear();
        this.#changed.resolve();
      },
    });
    try {
      while (!signal.aborted) {
        this.#changed = Promise.withResolvers();
        const finished = [...gone];
        await this.#announce(serverName);
        await this.#adopt(new Set(finished));
        // Files that cannot be retired now are retired at the next attempt.
        if (!this.#isFailing) {
          for (const name of finished) gone.delete(name);
        }
        await this.#report(serverName);
        await this.#waitForChange(signal);
      }
    } finally {
      watch.stop();
    }
  }

  async #waitForChange(signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const waiting = this.#deps.clock.sleep(
      this.#isFailing ? RETRY_MS : HEARTBEAT_MS,
      AbortSignal.any([signal, stop.signal]),
    );
    waiting.catch(() => undefined);
    try {
      await Promise.race([this.#changed.promise, waiting]);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      stop.abort(new Error("a rotation has changed"));
    }
  }

  #remove(name: string): void {
    const rotation = this.#rotations.get(name);
    if (rotation !== undefined && getTrustStep(rotation.spec) === "Trust") {
      this.#aborted.add(findNewFingerprint(rotation.spec));
    }
    this.#rotations.delete(name);
    this.#adoptions.delete(name);
  }

  /** Adopts the current steps. `gone` has the names of the CAs without a rotation whose leftover files are retired. */
  async #adopt(gone: ReadonlySet<string>): Promise<void> {
    const rotations: CaRotations = new Map(this.#rotations);
    const { authorities, record } = this.#targets;
    const faults = new Map<string, string>();
    for (const purpose of authorities.purposes) {
      const name = getCaName(purpose);
      const rotation = rotations.get(name);
      if (rotation === undefined && !gone.has(name)) continue;
      try {
        await this.#adoptFiles(authorityPaths(this.#targets.dir.root, purpose), name, rotation);
      } catch (error) {
        faults.set(name, getErrorMessage(error));
      }
    }
    const names = authorities.purposes.map(getCaName);
    for (const name of rotations.keys()) {
      if (!names.includes(name)) faults.set(name, `this installation has no CA "${name}", only ${names.join(", ")}`);
    }
    try {
      for (const { spec } of rotations.values()) {
        const cas = parseRotatedCas(spec);
        if (!cas.ok) continue;
        // After an abort the old CA signs again, even on a server that was started after the switch.
        await record(cas.value.oldCa.certificate, "ca");
        await record(cas.value.newCa.certificate, "ca");
        if (cas.value.crossSigned !== undefined) await record(cas.value.crossSigned.certificate, "sign");
      }
      await this.#use(rotations);
      this.#isFailing = faults.size > 0;
    } catch (error) {
      this.#isFailing = true;
      for (const name of rotations.keys()) faults.set(name, faults.get(name) ?? getErrorMessage(error));
      this.#deps.logger.error("cannot use a changed CA everywhere, trying again", { error });
    }
    for (const [name, { spec }] of rotations) {
      const [message, before] = [faults.get(name), this.#adoptions.get(name)];
      if (message === undefined && before?.step !== spec.step) {
        this.#deps.logger.info("step of a CA rotation adopted", { ca: name, step: spec.step });
      } else if (message !== undefined && before?.message !== message) {
        this.#deps.logger.error("cannot adopt a step of a CA rotation, trying again", {
          ca: name,
          step: spec.step,
          reason: message,
        });
      }
      this.#adoptions.set(name, { step: message === undefined ? spec.step : before?.step ?? "", message });
    }
  }

  async #adoptFiles(paths: AuthorityPaths, name: string, rotation: CaRotation | undefined): Promise<void> {
    const { files, keys } = this.#deps;
    const cas = rotation === undefined ? undefined : parseRotatedCas(rotation.spec);
    if (cas?.ok === false) throw new AppError("ca_invalid", cas.error.message);
    const target = rotation === undefined || cas === undefined ? undefined : {
      step: getTrustStep(rotation.spec),
      oldCa: cas.value.oldCa.certificate.sha256Fingerprint,
      newCa: cas.value.newCa.certificate.sha256Fingerprint,
    };
    const plan = planCaFiles(target, toCaSlots(await readCasOnDisk(paths, files)));
    if (!plan.ok) throw new AppError("ca_invalid", plan.error);
    await applyCaFileSteps({
      paths,
      steps: plan.value,
      adopt: () => this.#findNewCa(paths, name, cas?.value),
      verify: async (pair) => void await readAuthority(pair, files, keys),
    }, files);
  }

  /** Finds the new CA: a program holds its key, this server had it before, or the Secret of the rotation has it. */
  async #findNewCa(paths: AuthorityPaths, name: string, cas: RotatedCas | undefined): Promise<NewCaFiles> {
    if (cas === undefined) throw new AppError("internal", "a CA is adopted without a rotation");
    const { files, keys } = this.#deps;
    const certificatePem = encodeTrust(cas.newCa);
    if (keys.hasProgram) return { certificatePem, keyPem: undefined };
    const kept = await files.readText(toRetiredPaths(paths, cas.newCa.certificate.sha256Fingerprint).key);
    if (kept !== undefined) return { certificatePem, keyPem: kept };
    const { storage, tokenKey } = this.#targets;
    const secret = await findTokenSecret(storage, toWrappedKeyName(name));
    const wrapped = secret === undefined ? undefined : findWrappedKey(secret.object);
    if (wrapped === undefined) {
      throw new AppError("not_found", `the Secret "kube-system/${toWrappedKeyName(name)}" with the new key is missing`);
    }
    const key = unwrapKey(wrapped, await files.readText(tokenKey) ?? "");
    if (key.ok) return { certificatePem, keyPem: key.value };
    throw new AppError(
      "key_invalid",
      `the new key cannot be opened with the key of service account tokens: ${key.error}`,
    );
  }

  /** Loads the current CAs if they or their rotations have changed. */
  async #use(rotations: CaRotations): Promise<void> {
    const { authorities, dir } = this.#targets;
    const disk = await Promise.all(authorities.purposes.map(async (purpose) => {
      const slots = toCaSlots(await readCasOnDisk(authorityPaths(dir.root, purpose), this.#deps.files));
      return { purpose, slots };
    }));
    const steps = [...rotations].map(([name, { metadata, spec }]) => [name, metadata.uid, spec.step, spec.isLeaked]);
    const state = JSON.stringify([steps, disk]);
    if (state === this.#adoptedState) {
      this.#inUse = rotations;
      return;
    }
    // Clients need these rights before the new CAs are published.
    if (rotations.size > 0) {
      await reconcileObjects({ ...this.#deps, storage: this.#targets.storage }, trustFollowerObjects());
    }
    await authorities.reload(rotations);
    this.#inUse = rotations;
    for (const { purpose, slots } of disk) {
      for (const slot of ["next", "old"] as const) {
        const fingerprint = slots[slot] === slots.current ? undefined : slots[slot];
        await this.#keepCrl(toSlotPaths(authorityPaths(dir.root, purpose), slot), fingerprint);
      }
    }
    for (const listener of this.#listeners) await listener();
    this.#adoptedState = state;
  }

  /** Creates the CRLs of a CA that does not sign now, as long as it is trusted. */
  async #keepCrl(paths: AuthorityPaths, fingerprint: string | undefined): Promise<void> {
    const { crls } = this.#targets;
    const { files, keys } = this.#deps;
    if (fingerprint === undefined) await crls.remove(paths);
    else if (this.#slotCrls.get(paths.certificate) !== fingerprint) {
      await crls.add(paths, () => readAuthority(paths, files, keys));
    }
    if (fingerprint === undefined) this.#slotCrls.delete(paths.certificate);
    else this.#slotCrls.set(paths.certificate, fingerprint);
  }

  /**
   * Reports that this server has not adopted any step of a rotation yet. The command that began the rotation counts the
   * servers by these reports.
   */
  async #announce(serverName: string): Promise<void> {
    for (const name of this.#rotations.keys()) {
      if (!this.#adoptions.has(name)) this.#adoptions.set(name, { step: "", message: undefined });
    }
    await this.#report(serverName);
  }

  /** Writes this server's entry into the status of each rotation, when it has changed and as a heartbeat. */
  async #report(serverName: string): Promise<void> {
    for (const [name, { step, message }] of this.#adoptions) {
      try {
        await this.#writeEntry(name, { name: serverName, step, ...(message === undefined ? {} : { message }) });
      } catch (error) {
        this.#deps.logger.warn("cannot report the progress of a CA rotation", { ca: name, error });
      }
    }
  }

  async #writeEntry(name: string, entry: Omit<CaRotationServer, "time">): Promise<void> {
    const { storage } = this.#targets;
    const now = this.#deps.clock.now();
    for (let attempt = 1;; attempt++) {
      const stored = await storage.get(`${PREFIX}${name}`);
      if (stored === undefined) return;
      const rotation = stored.object as CaRotation;
      const { servers = [] } = rotation.status;
      const before = servers.find((one) => one.name === entry.name);
      const isSame = before?.step === entry.step && before.message === entry.message;
      const ageMs = now.getTime() - Date.parse(before?.time ?? "");
      if (isSame && (!isInProgress(rotation) || Math.abs(ageMs) < HEARTBEAT_MS)) return;
      const others = servers.filter((one) => one !== before);
      const updated = [...others, { ...entry, time: formatTime(now) }].sort((a, b) => a.name < b.name ? -1 : 1);
      const status = { ...rotation.status, servers: updated };
      const object = storedForm(caRotationKind.schema, { ...rotation, status });
      try {
        return void await storage.update(stored.key, object, stored.revision);
      } catch (error) {
        if (!isAppError(error, "conflict") || attempt === WRITE_ATTEMPTS) throw error;
      }
    }
  }
}

function findNewFingerprint(spec: CaRotation["spec"]): string {
  const cas = parseRotatedCas(spec);
  return cas.ok ? cas.value.newCa.certificate.sha256Fingerprint : "";
}
