// app/(admin)/analytics/page.tsx
import { Dashboard } from '@/components/analytics/Dashboard'
import { getPayload } from 'payload'
import config from '@payload-config'

export default async function AnalyticsPage() {
  const payload = await getPayload({ config })

  const dashboards = await payload.find({
    collection: 'analytics-dashboards',
    where: { isActive: { equals: true } },
    limit: 1,
  })

  const dashboardConfig = dashboards.docs[0]

  return <Dashboard dashboardConfig={dashboardConfig} />
}
