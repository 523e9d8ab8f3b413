/** Authorizers for tests: with fixed answers, and the real one over a memory store. */
import type { KubeObject } from "../../core/kube/meta.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Attributes, Decision } from "../../core/rbac/attributes.ts";
import { type Authorizer, createAuthorizer, createRbacSource, type RbacSource } from "../../server/authz/authorizer.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import type { Storage } from "../../server/storage/storage.ts";
import { createFakeClock } from "./fake_clock.ts";

/** An authorizer that decides by a function and records the attributes of each call. */
interface FakeAuthorizer extends Pick<Authorizer, "authorize"> {
  readonly asked: readonly Attributes[];
}

/** Creates an authorizer that allows what the function allows. The function may throw. */
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

/** The real authorizer, and the memory store that it reads. */
interface RbacWorld {
  readonly storage: Storage;
  readonly rbac: RbacSource;
  readonly authorizer: Authorizer;
}

/** Creates the authorizer over a store with objects, each under its plural. */
export async function createRbacWorld(
  objects: readonly (readonly [plural: string, object: KubeObject])[] = [],
): Promise<RbacWorld> {
  const storage = createMemoryStorage({ clock: createFakeClock() });
  const rbac = await createRbacSource(storage);
  for (const [plural, object] of objects) await storage.create(getStorageKey(plural, object), object);
  return { storage, rbac, authorizer: createAuthorizer({ rbac, storage }) };
}

/** Returns the storage key of an object. */
export function getStorageKey(plural: string, object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return `/registry/${plural}/${namespace === undefined ? "" : `${namespace}/`}${name}`;
}
