/** The notation for a whole kind. The names of its list and its resource are derived from the name of the kind. */
import type { KubeObject } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { listMetaSchema, METADATA } from "./meta_v1.ts";
import { always, describeMessages, type Field, type Fields, list, type MessageNotation, required } from "./notation.ts";

/** The names that cannot be derived from the name of a kind, and its scope. */
type KindNames =
  & Pick<Kind, "namespaced" | "shortNames">
  & Partial<Pick<Kind, "listKind" | "categories">>;

/** The names of a kind whose objects are in namespaces. */
export function namespaced(...shortNames: readonly string[]): KindNames {
  return { namespaced: true, shortNames };
}

/** The names of a kind whose objects are in no namespace. */
export function clusterWide(...shortNames: readonly string[]): KindNames {
  return { namespaced: false, shortNames };
}

/** The names of a kind that has no list, because its objects are never stored. */
export function withoutList(names: KindNames): KindNames {
  return { ...names, listKind: "" };
}

/** The fields of a kind. The standard `metadata` may be left out. */
type KindFields<T extends KubeObject> = Fields<Omit<T, keyof KubeObject>> & { readonly metadata?: Field<"always"> };

/** The functions that describe the kinds and messages of one version of an API group. */
interface VersionNotation extends MessageNotation {
  readonly kind: <T extends KubeObject = KubeObject>(
    name: string,
    names: KindNames,
    description: string,
    fields: KindFields<NoInfer<T>>,
  ) => Kind;
}

/**
 * Returns the functions for one version of an API group.
 *
 * @param group the API group, empty for the core group
 * @param packageName the Go package, which is the prefix of the OpenAPI names of its messages
 */
export function describeVersion(group: string, version: string, packageName: string): VersionNotation {
  const notation = describeMessages(packageName);
  return {
    ...notation,
    kind: (name, names, description, { metadata = METADATA, ...fields }) => {
      const schema = notation.message<Pick<KubeObject, "metadata">>(name, description, { metadata, ...fields });
      return {
        group,
        version,
        kind: name,
        listKind: `${name}List`,
        plural: `${name.toLowerCase()}s`,
        singular: name.toLowerCase(),
        categories: [],
        ...names,
        schema,
        listSchema: notation.message(`${name}List`, `A list of ${name} objects.`, {
          metadata: always(1, listMetaSchema, "Standard metadata of the list."),
          items: required(2, list(schema), "The objects."),
        }),
      };
    },
  };
}
