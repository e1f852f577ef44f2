// What may stand in a dashboard's file? Grafana's own types, as they are written in JSON: an enumeration's value instead of its
// name, and options and field settings by the kind of panel.

import type { Dashboard, FieldConfigSource, Panel, RowPanel } from '@grafana/schema';
import type { Options as BarGauge } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as TimelineField,
  Options as Timeline,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type { FieldConfig as TableField, Options as Table } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type {
  FieldConfig as SeriesField,
  Options as Series,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { DataSourceRef } from '@grafana/schema';

/** A type as its values look in JSON: enumerations of strings are the strings. */
type Written<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Array<Written<Item>>
      : T extends object
        ? { [Key in keyof T]: Written<T[Key]> }
        : T;

/** A query; Grafana leaves this to the data source's plugin. */
interface Query {
  datasource: DataSourceRef;
  refId: string;
  expr: string;
  legendFormat: string;
  editorMode: 'code';
  instant: boolean;
  range: boolean;
  format?: 'table';
}

type Of<Kind extends string, Options, Field = unknown> = Omit<Written<Panel>, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Kind;
  options: Written<Options>;
  fieldConfig: Written<FieldConfigSource<Field>>;
  targets: Query[];
};

type Known =
  | Of<'stat', Stat>
  | Of<'bargauge', BarGauge>
  | Of<'table', Table, TableField>
  | Of<'timeseries', Series, SeriesField>
  | Of<'state-timeline', Timeline, TimelineField>
  | Written<RowPanel>;

/** A dashboard's file. */
export type File = Omit<Written<Dashboard>, 'panels'> & { panels: Known[] };
