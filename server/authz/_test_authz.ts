/** Authorizers for tests: fixed answers, and the real chain over a memory store. */
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Clock } from "../../core/ports.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Attributes, Decision } from "../../core/rbac/attributes.ts";
import { type Authorizer, createAuthorizer } from "./authorizer.ts";
import type { RbacSource } from "./rbac_source.ts";
import { createRbacSource } from "./rbac_source.ts";
import { createMemoryStorage } from "../storage/memory/memory_storage.ts";
import type { Storage } from "../storage/storage.ts";

/** An authorizer that answers by a function and remembers what it was asked. */
export interface FakeAuthorizer extends Pick<Authorizer, "authorize"> {
  readonly asked: readonly Attributes[];
}

/** Allows what the function says; it may throw. */
export function fakeAuthorizer(allows: (attributes: Attributes) => boolean): FakeAuthorizer {
  const asked: Attributes[] = [];
  return {
    asked,
    authorize(_user: UserInfo, attributes: Attributes): Promise<Decision> {
      asked.push(attributes);
      try {
        return Promise.resolve({ kind: allows(attributes) ? "allow" : "noOpinion", reason: "" });
      } catch (error) {
        return Promise.reject(error);
      }
    },
  };
}

/** Nothing expires in these tests. */
const STANDING_CLOCK: Clock = {
  now: () => new Date("2026-01-01T00:00:00Z"),
  sleepUntil: () => Promise.reject(new Error("nobody sleeps here")),
  elapsedMs: () => 0,
  sleep: () => Promise.reject(new Error("nobody sleeps here")),
};

/** The real chain over a memory store, which can be written to. */
export interface RbacWorld {
  readonly storage: Storage;
  readonly rbac: RbacSource;
  readonly authorizer: Authorizer;
}

/** Builds the chain and stores objects, each under its plural. */
export async function createRbacWorld(
  objects: readonly (readonly [plural: string, object: KubeObject])[] = [],
): Promise<RbacWorld> {
  const storage = createMemoryStorage({ clock: STANDING_CLOCK });
  const rbac = await createRbacSource(storage);
  for (const [plural, object] of objects) await storage.create(keyOf(plural, object), object);
  return { storage, rbac, authorizer: createAuthorizer({ rbac }) };
}

/** The storage key of an object. */
export function keyOf(plural: string, object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return `/registry/${plural}/${namespace === undefined ? "" : `${namespace}/`}${name}`;
}
