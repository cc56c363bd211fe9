"""The other side of the ports, named by technology: postgres, kafka, redis, aesgcm, https.

An adapter translates: our words into its technology's, its errors into ours. It decides nothing about payments.
"""
