import { trackExperimentView, trackExperimentConversion } from '@tallymark/client/collectors/experiments'

// Variant shown
await fetch('https://analytics.api.mw/track', {
  method: 'POST',
  body: JSON.stringify(trackExperimentView({
    experimentId: 'pricing-test',
    variantIndex: 1, // Variant B
    sessionId: session.id,
  })),
})

// Goal completed
await fetch('https://analytics.api.mw/track', {
  method: 'POST',
  body: JSON.stringify(trackExperimentConversion({
    experimentId: 'pricing-test',
    variantIndex: 1,
    sessionId: session.id,
    userId: user.id,
  })),
})
