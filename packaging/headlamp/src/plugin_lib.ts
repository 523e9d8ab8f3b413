/**
 * The part of Headlamp's plugin library that this plugin uses. Headlamp puts the library into its page as `pluginLib`; the
 * npm package `@kinvolk/headlamp-plugin` describes the whole.
 */
import type { ComponentType, FunctionComponent, InputHTMLAttributes, ReactNode } from "react";

/** The options of a request to the cluster that the page shows. */
export interface HeadlampRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** False for the answer as the browser gives it. */
  readonly isJSON: false;
}

interface PluginLib {
  readonly ApiProxy: {
    /** Rejects with an Error that has a `status` when the answer is a failure. */
    request(path: string, options: HeadlampRequest, logOutOnFailure: boolean): Promise<Response>;
  };
  readonly CommonComponents: {
    readonly SectionBox: ComponentType<{ readonly title?: ReactNode; readonly children?: ReactNode }>;
    readonly SimpleTable: ComponentType<{
      readonly columns: readonly { readonly label: string; readonly getter: (row: never) => ReactNode }[];
      readonly data: readonly object[] | null;
      readonly emptyMessage?: string;
    }>;
    readonly NameValueTable: ComponentType<
      { readonly rows: readonly { readonly name: string; readonly value: ReactNode }[] }
    >;
    readonly StatusLabel: ComponentType<{
      readonly status: "success" | "warning" | "error" | "";
      readonly children?: ReactNode;
    }>;
    readonly Link: ComponentType<{
      readonly routeName: string;
      readonly params?: Readonly<Record<string, string>>;
      readonly children?: ReactNode;
    }>;
  };
  readonly MuiMaterial: {
    readonly Button: ComponentType<{
      readonly variant?: "contained" | "outlined";
      readonly color?: "primary" | "error";
      readonly disabled?: boolean;
      readonly onClick?: () => void;
      readonly children?: ReactNode;
    }>;
    readonly TextField: ComponentType<{
      readonly label: string;
      readonly value: string;
      readonly onChange: (event: { readonly target: { readonly value: string } }) => void;
      readonly inputProps?: InputHTMLAttributes<HTMLInputElement>;
    }>;
  };
  readonly ReactRouter: {
    useParams(): Readonly<Record<string, string | undefined>>;
  };
  registerSidebarEntry(entry: {
    readonly parent: string;
    readonly name: string;
    readonly label: string;
    readonly url: string;
  }): void;
  registerRoute(route: {
    readonly path: string;
    readonly exact: true;
    readonly name: string;
    readonly sidebar: string;
    readonly component: FunctionComponent;
  }): void;
}

/** The library, which Headlamp puts into its page before it runs a plugin. */
export const pluginLib: PluginLib = (globalThis as unknown as { readonly pluginLib: PluginLib }).pluginLib;
