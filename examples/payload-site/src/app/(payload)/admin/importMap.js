import { AnalyticsLink as AnalyticsLink_abf542dd9bfcc7bdea55611003c4a14d } from '@tallymark/payload/admin'
import { AnalyticsView as AnalyticsView_abf542dd9bfcc7bdea55611003c4a14d } from '@tallymark/payload/admin'
import { CollectionCards as CollectionCards_f9c02e79a4aed9a3924487c0cd4cafb1 } from '@payloadcms/next/rsc'

/** @type import('payload').ImportMap */
export const importMap = {
  "@tallymark/payload/admin#AnalyticsLink": AnalyticsLink_abf542dd9bfcc7bdea55611003c4a14d,
  "@tallymark/payload/admin#AnalyticsView": AnalyticsView_abf542dd9bfcc7bdea55611003c4a14d,
  "@payloadcms/next/rsc#CollectionCards": CollectionCards_f9c02e79a4aed9a3924487c0cd4cafb1
}
