/**
 * Pods, which a kube-apiserver that shares the store writes. They are not served here, but certificates and tokens are
 * for them (decision 38).
 */
import type { Pod } from "../../core/kube/kinds/core_v1.ts";
import { podKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Storage } from "../storage/storage.ts";
import { toStorageKey } from "./registry.ts";

/** Reads a pod, as far as its kind is described; undefined when there is none, or when it cannot be read. */
export async function findPod(
  storage: Pick<Storage, "get">,
  namespace: string,
  name: string,
): Promise<Pod | undefined> {
  const stored = (await storage.get(toStorageKey({ kind: podKind }, namespace, name)))?.object;
  return stored !== undefined && isPod(stored) ? stored : undefined;
}

/** Reports whether an object below the prefix of pods was decoded. */
function isPod(object: KubeObject): object is Pod {
  return "spec" in object;
}
