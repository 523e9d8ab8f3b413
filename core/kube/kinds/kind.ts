/** The notation of a whole kind, whose names follow from its own. */
import type { KubeObject } from "../meta.ts";
import type { FieldSchema, Kind } from "../schema.ts";
import { listMetaSchema, METADATA } from "./meta_v1.ts";
import { always, describeMessages, type Fields, list, type MessageNotation, required } from "./notation.ts";

/** The names that do not follow from the name of a kind, and its scope. */
export type KindNames =
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

/** The names of a kind whose objects are answered and never stored. */
export function withoutList(names: KindNames): KindNames {
  return { ...names, listKind: "" };
}

/** The fields of a kind after its metadata, or all of them. Without a TypeScript type their names are not checked. */
type KindFields<T extends KubeObject> = keyof T extends keyof KubeObject ? Readonly<Record<string, FieldSchema>>
  : Fields<Omit<T, keyof KubeObject>> & { readonly metadata?: FieldSchema };

/** The functions that describe the kinds and messages of one version of an API group. */
export interface VersionNotation extends MessageNotation {
  readonly kind: <T extends KubeObject = KubeObject>(
    name: string,
    names: KindNames,
    description: string,
    fields: KindFields<T>,
  ) => Kind;
}

/**
 * Returns the functions for one version of an API group.
 *
 * @param group the API group, empty for the core group
 * @param packageName the Go package, whose name begins those of its messages in OpenAPI
 */
export function describeVersion(group: string, version: string, packageName: string): VersionNotation {
  const notation = describeMessages(packageName);
  return {
    ...notation,
    kind: (name, names, description, fields) => {
      const schema = notation.message<Pick<KubeObject, "metadata">>(name, description, {
        metadata: METADATA,
        ...fields,
      });
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
