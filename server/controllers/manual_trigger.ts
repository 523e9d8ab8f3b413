/** A trigger with which a controller makes its own loop reconcile names again. */
import type { KubeObject } from "../../core/kube/meta.ts";
import type { ObjectChange } from "../../core/ports.ts";
import { orAbort } from "./abort.ts";
import type { Trigger } from "./loop.ts";

/** A trigger that is fired by code, not by changes of objects. */
export interface ManualTrigger extends Trigger {
  fire(names: readonly string[]): void;
}

/** Creates a trigger; names fired before the loop listens are kept. */
export function createManualTrigger(): ManualTrigger {
  const pending: string[] = [];
  let wake = Promise.withResolvers<void>();
  return {
    fire(names) {
      pending.push(...names);
      if (names.length > 0) wake.resolve();
    },
    nameFor: ({ metadata }) => metadata.name ?? "",
    async *changes(signal): AsyncIterable<ObjectChange<KubeObject>> {
      while (true) {
        await orAbort(wake.promise, signal);
        wake = Promise.withResolvers<void>();
        for (const name of pending.splice(0)) yield { kind: "changed", object: { metadata: { name } } };
      }
    },
  };
}
