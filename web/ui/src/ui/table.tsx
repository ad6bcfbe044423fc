// Tables: numbers right, words left, heads that sort, a whole row that is one link.

import type { ComponentChildren, JSX } from "preact";

export interface Column<R> {
  key: string;
  head: ComponentChildren;
  /** The field to sort by, as the service names it; absent where it cannot be sorted. */
  sort?: string;
  isNumber?: boolean;
  class?: string;
  cell: (row: R, at: number) => ComponentChildren;
}

interface Props<R> {
  label: string;
  columns: readonly Column<R>[];
  rows: readonly R[];
  rowKey: (row: R, at: number) => string;
  /** "-executions": descending by that field. */
  sort?: string;
  onSort?: (sort: string) => void;
  hasLinks?: boolean;
  isSticky?: boolean;
  isTwoLine?: boolean;
  /** As high as a two-line table beside it. */
  isTall?: boolean;
}

export function DataTable<R>(props: Props<R>): JSX.Element {
  const { label, columns, rows, rowKey, hasLinks = false, isSticky = false, isTwoLine = false } = props;
  const kinds = `${isSticky ? " sticky" : ""}${isTwoLine ? " two-line" : ""}${
    props.isTall === true ? " tall" : ""
  }`;
  return (
    <table class={`table${kinds}`} aria-label={label}>
      <thead>
        <tr>
          {columns.map((column) => (
            <Head key={column.key} column={column} sort={props.sort} onSort={props.onSort} />
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, at) => (
          <tr key={rowKey(row, at)} class={hasLinks ? "goes" : ""}>
            {columns.map((column) => (
              <td key={column.key} class={classOf(column)}>
                {column.cell(row, at)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const classOf = <R,>(column: Column<R>): string =>
  `${column.isNumber === true ? "num " : ""}${column.class ?? ""}`.trim();

interface HeadProps<R> {
  column: Column<R>;
  sort: string | undefined;
  onSort: ((sort: string) => void) | undefined;
}

function Head<R>({ column, sort, onSort }: HeadProps<R>): JSX.Element {
  const field = column.sort;
  if (field === undefined || onSort === undefined) {
    return (
      <th scope="col" class={classOf(column)}>
        {column.head}
      </th>
    );
  }
  const isDown = sort === `-${field}`;
  const isUp = sort === field;
  const sorted = isDown ? "descending" : isUp ? "ascending" : undefined;
  return (
    <th scope="col" class={classOf(column)} {...(sorted === undefined ? {} : { "aria-sort": sorted })}>
      <button type="button" onClick={() => onSort(isDown ? field : `-${field}`)}>
        {column.head}
        {isDown && " ↓"}
        {isUp && " ↑"}
      </button>
    </th>
  );
}
