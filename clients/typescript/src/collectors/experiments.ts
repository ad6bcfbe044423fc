// Which variant of an experiment was shown, and what came of it.

import type { ExperimentView, ExperimentConversion } from "../api.js";
import { build, type Fields } from "./build.js";

/** A variant was shown; variantIndex counts from 0. */
export function trackExperimentView(fields: Fields<ExperimentView>): ExperimentView {
  return build<ExperimentView>("experiment_view", fields);
}

/** The goal of an experiment was reached. */
export function trackExperimentConversion(fields: Fields<ExperimentConversion>): ExperimentConversion {
  return build<ExperimentConversion>("experiment_conversion", fields);
}
