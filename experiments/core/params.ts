// What a point is told by.
export type ParamValue = string | number | boolean;
export type Params = Readonly<Record<string, ParamValue>>;
