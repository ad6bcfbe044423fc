import { trackRevenueTransaction } from '@tallymark/client/collectors/revenue'

const event = trackRevenueTransaction({
  orderId: 'ord_123',
  serviceId: 'service-456',
  amount: 100.00,
  currency: 'USD',
  takeRate: 15, // 15% platform fee
  creatorId: 'creator-789',
  userId: user.id,
})

await fetch('https://analytics.api.mw/track', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(event),
})
