/** Events (`v1`) that the server itself reports, about what its clients tried and were refused. */
import { storedForm } from "../core/kube/wire/stored_form.ts";
import type { Event } from "../core/kube/kinds/core_v1.ts";
import { eventKind } from "../core/kube/kinds/mod.ts";
import { formatMicroTime, formatTime } from "../core/kube/meta.ts";
import { getErrorMessage } from "../core/errors.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import { events } from "./registry/events.ts";
import { createUid, toStorageKey } from "./registry/registry.ts";
import type { Storage } from "./storage/storage.ts";
import { encodeHex } from "../core/lib/encodings.ts";

export interface ServerEventDeps {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Creates the Event elsewhere than in the storage. */
  readonly createEvent?: ((event: Event) => Promise<unknown>) | undefined;
}

export interface ServerEvent {
  readonly about: Event["involvedObject"] & { readonly name: string };
  /** The namespace of the Event: that of the object, or `default` for an object without one. */
  readonly namespace: string;
  readonly reason: string;
  readonly message: string;
  /** What the server did, such as `Authenticating`. */
  readonly action: string;
}

/** Stores a warning. A failure is logged, because it must not change the answer to a client. */
export async function recordServerEvent(deps: ServerEventDeps, event: ServerEvent): Promise<void> {
  const { storage, clock, random, logger } = deps;
  const { about, namespace, reason, message, action } = event;
  const now = clock.now();
  const name = `${about.name}.${encodeHex(random.bytes(8))}`;
  const object: Event = {
    metadata: { name, namespace, uid: createUid(random), creationTimestamp: formatTime(now) },
    involvedObject: about,
    reason,
    message,
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    type: "Warning",
    eventTime: formatMicroTime(now),
    action,
    reportingComponent: "tlsboot",
    reportingInstance: "tlsboot",
  };
  const key = toStorageKey(events, namespace, name);
  const { createEvent = (stored) => storage.create(key, storedForm(eventKind.schema, stored)) } = deps;
  await createEvent(object).catch((error: unknown) => {
    logger.warn("event cannot be written", { about: about.name, reason: getErrorMessage(error) });
  });
}
